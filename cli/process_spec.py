"""What the supervisor has to know of a process to start it, keep it running and end it."""

import dataclasses
import enum
import signal
from collections.abc import Callable, Mapping
from pathlib import Path


class Kind(enum.Enum):
    """How the supervisor treats a process."""

    SERVICE = "service"  # Stays; what comes after waits until it is ready.
    STEP = "step"  # Runs to its end before what comes after; a failure stops everything.
    PROCESS = "process"  # Stays.


class StartError(RuntimeError):
    """A process cannot be started, and trying again would not help; the message tells a person what to do."""


@dataclasses.dataclass(frozen=True)
class Account:
    """The system account a process runs as, where that is not our own."""

    name: str
    uid: int
    gid: int


@dataclasses.dataclass(frozen=True)
class StopStep:
    """A signal, and how long to wait for its effect before the next step; SIGKILL comes after the last."""

    signal: signal.Signals
    grace_seconds: float


def always_ready() -> bool:
    return True


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProcessSpec:
    """One process of the stack."""

    name: str
    argv: tuple[str, ...]
    kind: Kind = Kind.PROCESS
    environment: Mapping[str, str]
    working_folder: Path
    stop_steps: tuple[StopStep, ...] = (StopStep(signal.SIGTERM, 10.0),)
    death_signal: signal.Signals = signal.SIGTERM
    """What the kernel sends to the process when the supervisor itself is killed."""
    account: Account | None = None
    inherited_descriptors: tuple[int, ...] = ()
    prepare: Callable[[], None] | None = None
    """Called before each start; raises StartError where starting is pointless."""
    is_ready: Callable[[], bool] = always_ready
    """Asked until it is true; must answer at once."""
    ready_within_seconds: float = 120.0
