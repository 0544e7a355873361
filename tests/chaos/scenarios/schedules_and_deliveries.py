"""Processes die at every step of firing, evaluating and delivering, and at random, while receivers fail at times."""

import signal
import time

from tests.chaos.harness import faults, receivers
from tests.chaos.harness.faults import Hit
from tests.chaos.harness.receivers import World
from tests.chaos.harness.running import Plan
from tests.chaos.harness.scenario import Run, scenario
from tests.chaos.scenarios.steps_of_the_code import POINTS_OF_SCHEDULES
from tests.client import wait_for

# A poke a second, two beats that poke, and short leases, so that what waits for their end is over soon.
SENDING = Plan(
    environment={
        "LEASE_SECONDS": "6",
        "RESCUE_SECONDS": "2",
        "STALL_SECONDS": "15",
        "SCHEDULE_SECONDS": "1",
        "REQUESTS_PER_MINUTE": "6000",
    },
    twice=("beat",),
    receives=True,
)
SENDER = "worker-deliveries"
A_CHILD = "a child of it"
VICTIMS = (SENDER, A_CHILD, A_CHILD, "worker-upkeep", "worker-reports", "beat", "beat-2", "web", "postgres", "redis")
# So many have to be delivered between two kills.
DELIVERED_BETWEEN = 5
LEAST_SHARE_WHILE_SENDING = 0.9
HIT_SECONDS = 90.0
DRAIN_SECONDS = 400.0
# So often, when a schedule is brought, the next receivers fail.
SHARE_UPSET = 0.4


@scenario("DELIVERPOINT", "`kill -9` at every step of firing, evaluating alerts and delivering", plan=SENDING)
def kill_at_every_step(run: Run) -> None:
    points = [point for _ in run.times(8) for point in sorted(POINTS_OF_SCHEDULES)]
    with receivers.world(run.stack) as world:
        world.make_schedules(len(points))
        for point in points:
            faults.arm(run.stack, point)
            _bring(run, world)
            faults.wait_until_hit(run.stack, point, seconds=HIT_SECONDS)
            run.injected(kill=True)
        _settle(run, world)


@scenario("DELIVERIES", "`kill -9` of any process while every kind of receiver is told of schedules", plan=SENDING)
def kill_anything(run: Run) -> None:
    kills = run.times(100)
    moments = []
    with receivers.world(run.stack) as world:
        world.make_schedules(len(kills) + 1)
        _bring(run, world)
        for _ in kills:
            _bring(run, world)
            _wait_until_sending(world, least=world.sent() + DELIVERED_BETWEEN)
            moments.append(wait_for(lambda: _kill_one(run), seconds=HIT_SECONDS).at)
        _settle(run, world)
        struck = world.while_sending(moments)
    run.note(f"{struck} of {len(moments)} kills between the first delivery and the last")
    assert struck >= LEAST_SHARE_WHILE_SENDING * len(moments), f"only {struck} kills struck while something was sent"


def _wait_until_sending(world: World, *, least: int) -> None:
    """Wait until some have been told since the last kill, and others are being told."""

    def has_told() -> bool:
        world.hurry()
        return world.sent() >= least

    wait_for(has_told, seconds=HIT_SECONDS)
    # All may have been told meanwhile.
    wait_for(lambda: world.is_sending() or not world.unfinished(), seconds=HIT_SECONDS, pause=0.01)


def _kill_one(run: Run) -> Hit | None:
    name = run.chance.choice(VICTIMS)
    if name != A_CHILD:
        return run.hit(faults.kill(run.stack, name))
    children = faults.children_of(run.stack.pids.get(SENDER, 0))
    child = run.chance.choice(children) if children else 0
    return run.hit(Hit(time.time(), child)) if child and faults.send(child, signal.SIGKILL) else None


def _bring(run: Run, world: World) -> None:
    if run.chance.random() < SHARE_UPSET:
        world.upset()
    world.bring()


def _settle(run: Run, world: World) -> None:
    faults.note_points(run.stack)
    world.drain(seconds=DRAIN_SECONDS)
    made, figures = receivers.take(world, seed=run.seed)
    run.settled.append(made)
    run.note(figures)
    made.assert_clean()
