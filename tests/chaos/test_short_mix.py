"""The most important faults at random under load, from a printed seed, then all accounts: nothing lost, nothing twice.

And one fault that chance seldom meets, on the same stack.
"""

from pathlib import Path

import pytest

from tests.chaos.harness import mix, suite
from tests.chaos.harness.scenario import Scenario, play
from tests.chaos.harness.suite import Pool

SECONDS = 45.0
EVERY_SECONDS = 1.0
RATE = 12.0
LEAST_INJECTIONS = 20
LEAST_JOBS = 200


def test_random_faults_lose_nothing_and_double_nothing(
    pool: Pool, chaos_seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = Scenario(
        "mix",
        "everything at random",
        lambda run: mix.play(run, seconds=SECONDS, every=EVERY_SECONDS, rate=RATE, least_faults=LEAST_INJECTIONS),
        mix.QUICK,
    )
    outcome = play(short, pool.get(short.plan), seed=chaos_seed, scale=1.0, folder=tmp_path)
    with capsys.disabled():
        print(f"\nseed {chaos_seed}: {suite.short(outcome)}")
    assert outcome.failure is None, outcome.failure
    assert outcome.injections >= LEAST_INJECTIONS
    assert outcome.jobs >= LEAST_JOBS


def test_a_child_that_stands_still_after_its_claim_can_be_cancelled(
    pool: Pool, chaos_seed: int, tmp_path: Path
) -> None:
    chosen = suite.registry()["CANCEL-CLAIMED"]
    outcome = play(chosen, pool.get(chosen.plan), seed=chaos_seed, scale=0.1, folder=tmp_path)
    assert outcome.failure is None, outcome.failure
    assert outcome.injections == 1
