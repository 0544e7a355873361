"""The account of the baseline counts what is in the ledger and in the log of effects, and nothing else."""

import json
import random
from pathlib import Path

import pytest

from tests.chaos.baseline import client, outcome, plain
from tests.chaos.baseline.lab import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A lab whose processes are never started: only its files are read."""
    return Lab(tmp_path, plain.Options(), random.Random(1))


def _write(lab: Lab, *, ledger: dict[str, bool], effects: list[str]) -> None:
    entries = [json.dumps({"id": job_id, "acked": acked, "seconds": 0.1}) for job_id, acked in ledger.items()]
    (lab.folder / client.LEDGER_FILE).write_text("".join(f"{entry}\n" for entry in entries))
    (lab.folder / plain.EFFECTS_FILE).write_text("".join(f"{line}\n" for line in effects))


def test_an_acknowledged_job_without_effect_is_lost(lab: Lab) -> None:
    _write(lab, ledger={"a": True, "b": True, "c": True}, effects=["start a 1 1.0", "effect a 1 2.0", "start b 1 3.0"])
    assert lab.lost() == 2
    assert lab.never_started() == 1
    assert lab.doubled() == 0


def test_a_refused_job_is_not_lost(lab: Lab) -> None:
    _write(lab, ledger={"a": False}, effects=[])
    assert (lab.lost(), lab.ledger(), lab.ledger(acked=False)) == (0, [], ["a"])


def test_a_second_effect_doubles_and_a_second_start_alone_does_not(lab: Lab) -> None:
    started = ["start a 1 1.0", "start a 2 4.5", "start b 1 1.0", "start b 2 2.0"]
    _write(lab, ledger={"a": True, "b": True}, effects=[*started, "effect a 1 5.0", "effect a 2 6.0", "effect b 2 7.0"])
    assert lab.doubled() == 1
    assert lab.lost() == 0
    assert sorted(lab.restarts()) == [1.0, 3.5]


def test_a_line_that_is_being_written_is_left_for_the_next_look(lab: Lab) -> None:
    _write(lab, ledger={"a": True}, effects=[])
    with (lab.folder / client.LEDGER_FILE).open("a") as ledger:
        ledger.write('{"id": "b", "ack')
    assert lab.ledger() == ["a"]


def test_the_table_shows_a_dash_for_what_has_no_meaning() -> None:
    found = outcome.Outcome(
        scenario="S5",
        fault="poison",
        injections=1,
        acked=1000,
        lost=None,
        doubled=0,
        recoveries=(1.0, 3.0),
        note="twice",
    )
    assert outcome.table([found]).splitlines()[-1] == "| S5 | poison | 1 | 1,000 | - | 0 | 2.0 | 3.0 | twice |"
