"""Beat's scheduler: Celery's own, kept in memory, with a sign of life in the database.

It fires nothing that matters by itself: what is due is decided in SQL, so a tick that is lost or doubled changes nothing.
"""

import time
from typing import Any

import structlog
from celery import beat

from models import heartbeat, session
from workers import errors, identity

SIGN_OF_LIFE_SECONDS = 5.0

log = structlog.get_logger(__name__)


class Scheduler(beat.Scheduler):
    """Beats into the database every few seconds, so that `/readyz` can tell a beat that hangs from one that ticks."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._process = identity.as_process(heartbeat.ProcessKind.BEAT, "beat")
        self._last_sign = 0.0
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        self.update_from_dict(self.app.conf.beat_schedule)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        self._give_sign_of_life()
        return float(super().tick(*args, **kwargs))

    def _give_sign_of_life(self) -> None:
        if time.monotonic() - self._last_sign < SIGN_OF_LIFE_SECONDS:
            return
        self._last_sign = time.monotonic()
        try:
            with session.transaction() as db:
                heartbeat.beat(db, self._process)
        except errors.DATABASE_AWAY as error:
            log.warning("beat could not reach the database", error=type(error).__name__)
