"""`make test`: all tests, in four processes side by side, and once more those few that failed while the machine was busy.

The unit tests use a processor, the others mostly wait for the stack, so the whole takes less time together. What fails is run
a second time, alone, when the others have ended, and must pass then: a test that had to wait too long for a processor says
nothing about the code. Which ones these were is the last thing said, so that they are mended. Lost or doubled jobs are no
matter of waiting: a failure in the chaos tests is never tried again, nor are more failures than a few. A process that has
said what became of its tests and does not end is killed, and named as well.
"""

import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import IO

HERE = Path(__file__).parent
# These start stacks of their own and wait for what becomes of them; they use little of the machine.
WAITING = (
    "acceptance/test_demo.py",
    "chaos",
    "integration/test_supervisor.py",
    "integration/test_up.py",
    "integration/test_watchdog.py",
)
COMPUTING = ("unit",)
# Those about the web go with what shares the one stack, so that both take about as long.
INTEGRATION = tuple(
    f"integration/{path.name}"
    for path in sorted((HERE / "integration").glob("test_*.py"))
    if "test_web_" not in path.name
)
NEVER_AGAIN = "tests.chaos"
MOST_AGAIN = 3
TESTS_FAILED = 1
LOOK_SECONDS = 5.0
ENDING_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Part:
    """Tests that run in one process."""

    name: str
    paths: tuple[str, ...]

    def start(self, report: Path, output: IO[str] | None) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "pytest", *sys.argv[1:], f"--junitxml={report}", *self.paths]
        # Folders of its own: whoever makes one in the shared place shuts it, also to the embedded servers of the others.
        folder = report.with_suffix("")
        command += [f"--basetemp={folder}", "-o", f"cache_dir={folder}.cache"]
        return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT if output else None)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a process ended, and the tests that failed in it, as pytest's command line takes them."""

    code: int
    failed: tuple[str, ...]


def main() -> int:
    """Return the first exit code that is not 0, or 0 where all that failed has passed when it ran alone."""
    with tempfile.TemporaryDirectory(prefix="reckoner-", ignore_cleanup_errors=True) as folder:
        outcomes = _run_together(Path(folder))
        code = next((outcome.code for outcome in outcomes if outcome.code), 0)
        failed = [test for outcome in outcomes for test in outcome.failed]
        if not _worth_another_try(outcomes, failed):
            return code
        _say(f"\n{len(failed)} failed among the others; once more, alone:")
        report = Path(folder) / "alone.xml"
        if _end_of(Part("alone", tuple(failed)).start(report, None), report):
            return code
    _say("\n    ".join(["UNSTEADY, to be mended: failed beside the others, passed alone:", *failed]))
    return 0


def _run_together(folder: Path) -> list[Outcome]:
    """Run all parts; the last one is seen as it goes, the others when they have ended."""
    beside = (
        Part("waiting", tuple(str(HERE / name) for name in WAITING)),
        Part("computing", tuple(str(HERE / name) for name in COMPUTING)),
        Part("integration", tuple(str(HERE / name) for name in INTEGRATION if name not in WAITING)),
    )
    seen = Part("others", (*_ignored((*WAITING, *COMPUTING, *INTEGRATION)), str(HERE)))
    outputs = [tempfile.TemporaryFile("w+", encoding="utf-8") for _ in beside]  # noqa: SIM115 - closed below
    processes = [part.start(folder / f"{part.name}.xml", output) for part, output in zip(beside, outputs, strict=True)]
    try:
        code = _end_of(seen.start(folder / f"{seen.name}.xml", None), folder / f"{seen.name}.xml")
    finally:
        codes = [_end_of(process, folder / f"{part.name}.xml") for part, process in zip(beside, processes, strict=True)]
    for output in outputs:
        output.seek(0)
        sys.stdout.write(output.read())
        output.close()
    sys.stdout.flush()
    pairs = zip((seen, *beside), (code, *codes), strict=True)
    return [Outcome(code, _failed(folder / f"{part.name}.xml")) for part, code in pairs]


def _end_of(process: subprocess.Popen[bytes], report: Path) -> int:
    """Wait for the end of a process and return its exit code; one that has reported long ago is killed, and its report counts."""
    while True:
        try:
            return process.wait(LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            if report.exists() and time.time() - report.stat().st_mtime > ENDING_SECONDS:
                process.kill()
                process.wait()
                _say(f"UNSTEADY, to be mended: its tests had ended, and the process had not: {process.args!r}")
                return TESTS_FAILED if _failed(report) else 0


def _ignored(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"--ignore={HERE / name}" for name in names)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _failed(report: Path) -> tuple[str, ...]:
    if not report.exists():
        return ()
    cases = ET.parse(report).iter("testcase")  # noqa: S314 - written by pytest a moment ago
    return tuple(_node(case) for case in cases if case.find("failure") is not None or case.find("error") is not None)


def _node(case: ET.Element) -> str:
    """Return a test's address: JUnit's class name is the dotted path of its file."""
    return f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name', '')}"


def _worth_another_try(outcomes: list[Outcome], failed: list[str]) -> bool:
    """Tell whether all that went wrong is a few tests, each known by name."""
    ended = all(outcome.code == 0 or (outcome.code == TESTS_FAILED and outcome.failed) for outcome in outcomes)
    never = any(test.startswith(NEVER_AGAIN.replace(".", "/")) for test in failed)
    return ended and not never and 0 < len(failed) <= MOST_AGAIN


if __name__ == "__main__":
    sys.exit(main())
