"""`reckoner doctor`: is this installation safe to trust with jobs? Each finding says why it matters and what to do."""

from dataclasses import asdict

import click

from cli import invocation, output
from cli.exit_codes import ExitCode
from workers import celery
from workers.doctor import checkup
from workers.doctor.finding import Finding, Verdict

ORDER = (Verdict.UNSAFE, Verdict.UNKNOWN, Verdict.WARNING, Verdict.OK)


@click.command("doctor")
@click.option("--all", "show_all", is_flag=True, help="Show what is in order as well.")
def command(*, show_all: bool) -> None:
    """Check versions, settings, secrets, PostgreSQL, Redis, disks and the signs of life of workers and beat.

    Exit code 0: safe. 1: something is unsafe, or a server does not answer and cannot be judged. Every process makes the
    same checks of settings and servers when it starts, and does not start where something is unsafe.
    """
    celery.app.loader.import_default_modules()
    findings = sorted(checkup.of_everything(celery.app), key=lambda finding: ORDER.index(finding.verdict))
    if invocation.current().as_json:
        output.emit_json([asdict(finding) for finding in findings])
    else:
        _tell(findings, show_all=show_all)
    if any(finding.verdict in (Verdict.UNSAFE, Verdict.UNKNOWN) for finding in findings):
        raise click.exceptions.Exit(ExitCode.FAILED)


def _tell(findings: list[Finding], *, show_all: bool) -> None:
    for finding in findings:
        if show_all or finding.verdict is not Verdict.OK:
            click.echo(f"{finding.verdict:8} {finding.subject}: {finding.detail}")
            if finding.why:
                click.echo(f"{'':8} {finding.why} {finding.remedy}".rstrip())
    bad = sum(finding.verdict is not Verdict.OK for finding in findings)
    verdicts = {finding.verdict for finding in findings}
    summary = "safe" if not verdicts & {Verdict.UNSAFE, Verdict.UNKNOWN} else "do not trust it with jobs yet"
    click.echo(f"{len(findings)} checks, {bad} to look at: {summary}")
