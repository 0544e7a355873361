"""When the watchdog may judge, and whom it calls dead."""

import os
import signal
import subprocess
import sys
import time
import uuid

import pytest

from cli import watchdog
from cli.frozen_web import FrozenWeb
from cli.proc import Proc
from cli.watchdog import Continuity
from models.heartbeat import ProcessKind
from models.liveness import Seen


def seen(*, silent_for: float, started: float) -> Seen:
    return Seen(
        id=uuid.uuid4(),
        kind=ProcessKind.WORKER,
        name="reports@here",
        host="here",
        pid=1,
        queues=("reports",),
        slots=2,
        silent_for=silent_for,
        started=started,
    )


def test_patience_grows_while_both_clocks_agree() -> None:
    continuity = Continuity()
    for second in range(0, 40, 4):
        continuity.note(100.0 + second, 5_000.0 + second)
    assert continuity.lasted(136.0) == 36.0


def test_an_absent_database_begins_it_anew() -> None:
    continuity = Continuity()
    continuity.note(100, 5000)
    continuity.note(103, None)
    assert continuity.lasted(103) == 0
    continuity.note(106, 5006)
    assert continuity.lasted(110) == 4


@pytest.mark.parametrize("jump", [3600, -3600])
def test_a_clock_that_was_set_begins_it_anew(jump: float) -> None:
    continuity = Continuity()
    continuity.note(100, 5000)
    continuity.note(110, 5010)
    continuity.note(113, 5013 + jump)
    assert continuity.lasted(113) == 0


def test_a_machine_that_slept_begins_it_anew() -> None:
    continuity = Continuity()
    continuity.note(100, 5000)
    continuity.note(200, 5100)
    assert continuity.lasted(200) == 0


@pytest.mark.parametrize(
    ("found", "age", "lasted", "dead"),
    [
        (seen(silent_for=31, started=900), 900, 300, True),
        (seen(silent_for=29, started=900), 900, 300, False),
        # The database has only just come back: it could not hear anybody.
        (seen(silent_for=31, started=900), 900, 20, False),
        # The row is that of an earlier process with the same number.
        (seen(silent_for=500, started=900), 60, 300, False),
        (seen(silent_for=500, started=900), 130, 300, True),
        (None, 60, 300, False),
        (None, 130, 300, True),
        (None, 130, 60, False),
    ],
)
def test_who_is_dead(found: Seen | None, age: float, lasted: float, dead: bool) -> None:  # noqa: FBT001 - a column of the table
    why = watchdog.why_dead(found, age=age, lasted=lasted)
    assert (why is not None) is dead


def test_a_process_is_known_by_more_than_its_number() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time\nwhile True: time.sleep(0.05)"]) as child:
        found = Proc.find(child.pid, parent=os.getpid())
        assert found is not None
        assert 0 <= found.age < 60
        assert Proc.find(child.pid, parent=1) is None
        impostor = Proc(child.pid, found.parent, found.started_ticks - 1)
        assert not impostor.kill()
        assert child.poll() is None
        assert found.kill()
        assert child.wait(10) == -signal.SIGKILL
    assert Proc.find(child.pid) is None
    assert not found.kill()


def test_who_is_frozen_takes_no_turns() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time\nwhile True: time.sleep(0.02)"]) as child:
        try:
            time.sleep(0.5)
            found = Proc.find(child.pid)
            assert found is not None
            before = found.turns()
            time.sleep(0.5)
            assert found.turns() != before
            os.kill(child.pid, signal.SIGSTOP)
            time.sleep(0.1)
            before = found.turns()
            time.sleep(0.5)
            assert found.turns() == before
        finally:
            child.kill()


def test_an_arbiter_that_moves_is_never_frozen_and_one_that_does_not_is_once_nobody_answers() -> None:
    nobody = "http://127.0.0.1:1"
    with subprocess.Popen([sys.executable, "-c", "import time\nwhile True: time.sleep(0.02)"]) as child:
        try:
            time.sleep(0.5)
            process = Proc.find(child.pid)
            assert process is not None
            web = FrozenWeb()
            for now in range(0, 120, 3):
                time.sleep(0.05)
                assert web.why_dead(process, nobody, now=float(now)) is None
            os.kill(child.pid, signal.SIGSTOP)
            time.sleep(0.1)
            verdicts = [web.why_dead(process, nobody, now=float(now)) for now in range(120, 180, 3)]
        finally:
            child.kill()
    dead = [position * 3 for position, verdict in enumerate(verdicts) if verdict is not None]
    assert dead[0] == 33


def test_it_stays_small() -> None:
    """It runs beside every stack: no Celery, no Redis client, no HTTP client, no web framework, nothing that computes."""
    big = {"celery", "kombu", "redis", "httpx", "flask", "pandas", "duckdb", "numpy", "rich", "click"}
    code = f"import sys; import cli.watchdog; print(','.join(sorted(set(sys.modules) & {big!r})))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert loaded.stdout.strip() == ""
