"""Named points of the code where tests make a process die, hang or fail. Without `FAILPOINTS_DIR` they cost one comparison.

A test arms a point by writing a file of the point's name into that folder; the first process that reaches the point takes
the file away, so that each arming acts exactly once, and leaves `NAME.hit.PID` behind as proof. What the file says is done:
`kill`, `stop` (freeze until continued), `exit`, `pause SECONDS`, or `disconnect` (as if the database had gone away).
"""

import os
import signal
import time
from enum import StrEnum

import sqlalchemy.exc

from models import settings


class Point(StrEnum):
    """Where a process can be made to fail."""

    ACCEPT_BEFORE_COMMIT = "accept-before-commit"
    ACCEPT_AFTER_COMMIT = "accept-after-commit"
    PUBLISH_BEFORE_MARK = "publish-before-mark"
    PUBLISH_BEFORE_SEND = "publish-before-send"
    PUBLISH_AFTER_SEND = "publish-after-send"
    RESPOND = "respond"
    CLAIM_BEFORE_COMMIT = "claim-before-commit"
    CLAIM_AFTER_COMMIT = "claim-after-commit"
    LAKE_BEFORE_COMMIT = "lake-before-commit"
    LAKE_AFTER_COMMIT = "lake-after-commit"
    SWEEP_BEFORE_REMOVAL = "sweep-before-removal"
    SWEEP_AFTER_REMOVAL = "sweep-after-removal"
    FINISH_BEFORE_COMMIT = "finish-before-commit"
    FINISH_AFTER_COMMIT = "finish-after-commit"
    SETTLE_BEFORE_COMMIT = "settle-before-commit"
    BURY_BEFORE_COMMIT = "bury-before-commit"
    BURY_AFTER_COMMIT = "bury-after-commit"
    SCHEDULE_AFTER_JOB = "schedule-after-job"
    SCHEDULE_BEFORE_COMMIT = "schedule-before-commit"
    SCHEDULE_AFTER_COMMIT = "schedule-after-commit"
    ALERT_BEFORE_COMMIT = "alert-before-commit"
    ALERT_AFTER_COMMIT = "alert-after-commit"
    DELIVER_BEFORE_CLAIM = "deliver-before-claim"
    DELIVER_AFTER_CLAIM = "deliver-after-claim"
    DELIVER_AFTER_SEND = "deliver-after-send"
    DELIVER_BEFORE_COMMIT = "deliver-before-commit"
    DELIVER_AFTER_COMMIT = "deliver-after-commit"


class UnknownActionError(ValueError):
    """A test armed a point with a word that means nothing."""


def hit(point: Point) -> None:
    """Fail here if a test has armed this point.

    Raises:
        sqlalchemy.exc.OperationalError: the test asked for a lost connection.
        UnknownActionError: the test asked for something else.
    """
    folder = settings.load().failpoints_dir
    if folder is None:
        return
    armed = folder / point.value
    try:
        # Read first: the proof may be collected, and gone, as soon as it has its name.
        action = armed.read_text(encoding="ascii").strip()
        armed.rename(folder / f"{point.value}.hit.{os.getpid()}")
    except FileNotFoundError:
        return
    _act(action)


def _act(action: str) -> None:
    word, _, argument = action.partition(" ")
    if word == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif word == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif word == "exit":
        raise SystemExit(int(argument or "1"))
    elif word == "pause":
        time.sleep(float(argument))
    elif word == "disconnect":
        raise sqlalchemy.exc.OperationalError(
            "failpoint", {}, ConnectionError("a failpoint"), connection_invalidated=True
        )
    else:
        raise UnknownActionError(word)
