"""Probes: jobs whose effect is not idempotent, and jobs that misbehave. What they do is in `behaviour`; this is their request.

Light, because the web process and the load client import it.
"""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

KIND = "probe"


class ProbeType(StrEnum):
    """What a probe does."""

    NOOP = "noop"
    """Nothing: the price of a job itself."""

    CREDIT = "credit"
    """Adds `n` to its organisation's account, in the transaction that finishes the job."""

    SLOW = "slow"
    """Works for `seconds`, saying how far it is, then credits."""

    GIL = "gil"
    """Holds Python's global lock in C code for `seconds`, then credits."""

    DUCKDB = "duckdb"
    """Asks DuckDB something that takes minutes, then credits."""

    DEAF = "deaf"
    """Computes in C code that looks for no signal, for days."""

    TRANSIENT = "transient"
    """Fails with an error that may pass on its first `times` attempts, then credits."""

    DISK_FULL = "disk_full"
    """Finds the disk full on its first `times` attempts, then credits."""

    PERMANENT = "permanent"
    """Is refused: trying again cannot help."""

    POISON = "poison"
    """Kills its own process, every time."""

    SEGV = "segv"
    """Crashes its own process, every time."""

    EXIT = "exit"
    """Ends its own process by `sys.exit`, every time."""

    RAISE_UNPICKLABLE = "raise_unpicklable"
    """Raises what cannot be sent to another process."""

    RAISE_HUGE = "raise_huge"
    """Raises with a message of 50 MB."""

    RECURSE = "recurse"
    """Calls itself without end."""

    BOMB = "bomb"
    """Takes memory without end: at `megabytes` it is killed as the system's out-of-memory killer would."""


CREDITING = frozenset(
    {
        ProbeType.CREDIT,
        ProbeType.SLOW,
        ProbeType.GIL,
        ProbeType.DUCKDB,
        ProbeType.TRANSIENT,
        ProbeType.DISK_FULL,
    }
)
"""Those that change the account when they succeed."""


class Probe(BaseModel):
    """The body of `POST /v1/probes`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: ProbeType
    n: int = 1
    seconds: float = Field(default=0.0, ge=0, le=600)
    times: int = Field(default=0, ge=0, le=100)
    megabytes: int = Field(default=300, ge=1, le=1024)
    queue: Literal["reports", "imports", "heavy"] = "reports"
    priority: int = Field(default=5, ge=0, le=9)
