"""Beat's scheduler: Celery's own, kept in memory, with a sign of life in the database, and a stand-in for the sweep.

It fires nothing that matters by itself: what is due is decided in SQL, so a tick that is lost or doubled changes nothing.
"""

import threading
import time
from typing import Any

import structlog
from celery import beat

from models import heartbeat, session, settings
from workers import broker, errors, identity, rescue
from workers.schedules import firing

SIGN_OF_LIFE_SECONDS = 5.0

log = structlog.get_logger(__name__)


class Scheduler(beat.Scheduler):
    """Beats into the database every few seconds, so that `/readyz` can tell a beat that hangs from one that ticks."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._process = identity.as_process(heartbeat.ProcessKind.BEAT, "beat")
        self._last_sign = 0.0
        super().__init__(*args, **kwargs)
        if not kwargs.get("lazy"):
            # A sweep that beat asks for goes through Redis and a worker, and so does not happen while either is ill.
            threading.Thread(target=self._stand_in, name="stand-in", daemon=True).start()

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

    def _stand_in(self) -> None:
        while True:
            time.sleep(settings.load().rescue_seconds)
            if not broker.ping():
                # Celery's beat waits for its broker inside a tick, however long that takes: it is alive all the same.
                self._give_sign_of_life()
            try:
                rescue.stand_in()
                firing.stand_in()
            except errors.DATABASE_AWAY as error:
                log.warning("stand-in could not reach the database", error=type(error).__name__)
