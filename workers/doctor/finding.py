"""What a check is, and what it finds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar

Facts = TypeVar("Facts")


class Verdict(StrEnum):
    OK = "ok"
    """Looked at, and in order."""

    WARNING = "warning"
    """The promise holds, but something will be slow, or break, or go unseen."""

    UNSAFE = "unsafe"
    """With this, a job can be lost or take effect twice, or data are open to others. Nothing starts."""

    UNKNOWN = "unknown"
    """Could not be looked at. That is no reason not to start: servers may come later."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what was seen and, where it is not in order, why that matters and what to do."""

    subject: str
    verdict: Verdict
    detail: str
    why: str = ""
    remedy: str = ""

    @property
    def sentence(self) -> str:
        return " ".join(filter(None, (f"{self.subject}: {self.detail}.", self.why, self.remedy)))


class Look(NamedTuple):
    """What a check saw, and whether it is bad."""

    bad: bool
    seen: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Check(Generic[Facts]):
    """One question to facts that were gathered before."""

    subject: str
    look: Callable[[Facts], Look]
    why: str
    remedy: str
    verdict: Verdict = Verdict.UNSAFE

    def judge(self, facts: Facts) -> Finding:
        bad, seen = self.look(facts)
        if bad:
            return Finding(self.subject, self.verdict, seen, why=self.why, remedy=self.remedy)
        return Finding(self.subject, Verdict.OK, seen)


def judge_all(checks: Sequence[Check[Facts]], facts: Facts) -> list[Finding]:
    return [check.judge(facts) for check in checks]
