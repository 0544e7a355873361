"""What every process asks before it begins: a process that cannot keep the promise does not start, and says why."""

import os
from collections.abc import Iterable

import structlog

from models import settings
from workers import logs
from workers.doctor import checkup
from workers.doctor.finding import Finding, Verdict

# 78, "configuration error" of sysexits.h: a supervisor need not try again before somebody has changed something.
REFUSED = os.EX_CONFIG

log = structlog.get_logger(__name__)


def refuse_unsafe(*, warn: bool = False) -> None:
    """Log what is unsafe, and end this process with exit code 78, unless ALLOW_UNSAFE is set; with `warn`, all that is odd.

    Servers that do not answer are no reason: they may come later, and everything here waits for them.

    Raises:
        SystemExit: something is unsafe.
    """
    # At the point where Celery and gunicorn call this, they have not set up logging yet.
    logs.configure()
    # Imported here because this application connects the signal that calls this function.
    from workers.celery import app  # noqa: PLC0415

    findings = [*checkup.of_what_is_set(app), *checkup.of_servers()]
    for finding in findings:
        if finding.verdict is Verdict.UNSAFE or (warn and finding.verdict is not Verdict.OK):
            tell = log.critical if finding.verdict is Verdict.UNSAFE else log.warning
            tell(finding.sentence, subject=finding.subject, verdict=finding.verdict.value)
    if must_refuse(findings):
        log.critical("not started: unsafe; `reckoner doctor` shows all checks, ALLOW_UNSAFE=true starts all the same")
        raise SystemExit(REFUSED)


def must_refuse(findings: Iterable[Finding]) -> bool:
    return not settings.load().allow_unsafe and any(finding.verdict is Verdict.UNSAFE for finding in findings)
