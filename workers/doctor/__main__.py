"""The checks as a step of `reckoner up`: `python -m workers.doctor settings`, and `servers` once they run.

Says what is odd in words, for a person who watches the stack start. The exit code is 78 where it must not start.
"""

import sys

from workers.celery import app
from workers.doctor import at_start, checkup
from workers.doctor.finding import Verdict


def main(what: str) -> int:
    findings = checkup.of_what_is_set(app) if what == "settings" else checkup.of_servers()
    for finding in findings:
        if finding.verdict is not Verdict.OK:
            sys.stdout.write(f"{finding.verdict.upper()}: {finding.sentence}\n")
    if at_start.must_refuse(findings):
        sys.stdout.write("The stack is not started. ALLOW_UNSAFE=true would start it all the same.\n")
        return at_start.REFUSED
    if any(finding.verdict is Verdict.UNSAFE for finding in findings):
        sys.stdout.write("ALLOW_UNSAFE is set: the stack starts, and its promise does not hold.\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
