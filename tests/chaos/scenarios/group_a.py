"""Processes of the workers die, are frozen, or are told to end."""

from tests.chaos.harness import faults
from tests.chaos.harness.ledger import mixed
from tests.chaos.harness.scenario import Run, scenario


@scenario("S1", "`kill -9` of a worker's child in the middle of a job")
def kill_children(run: Run) -> None:
    with run.load(mixed, rate=8) as ledger:
        for hit in run.strikes(200, lambda: faults.kill_running_child(run.stack, run.chance)):
            run.recovered(hit)
    run.settle(ledger)
