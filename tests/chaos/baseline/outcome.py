"""What a scenario found, and the table of all of them."""

import dataclasses
import statistics
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """One line of the table. None stands where a count has no meaning."""

    scenario: str
    fault: str
    injections: int
    acked: int
    lost: int | None
    doubled: int | None
    recoveries: Sequence[float] = ()
    note: str

    def cells(self) -> tuple[str, ...]:
        return (
            self.scenario,
            self.fault,
            str(self.injections),
            _count(self.acked),
            _count(self.lost),
            _count(self.doubled),
            f"{statistics.median(self.recoveries):.1f}" if self.recoveries else "-",
            f"{max(self.recoveries):.1f}" if self.recoveries else "-",
            self.note,
        )


HEADINGS = ("", "fault", "injections", "jobs acked", "lost", "doubled", "recovery p50 s", "max s", "note")


def _count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def table(outcomes: Sequence[Outcome]) -> str:
    """The outcomes as a Markdown table."""
    rule = ("---", "---", *["---:"] * 6, "---")
    return "\n".join(f"| {' | '.join(row)} |" for row in (HEADINGS, rule, *(found.cells() for found in outcomes)))
