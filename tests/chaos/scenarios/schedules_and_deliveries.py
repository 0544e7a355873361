"""Processes die at every step of firing, evaluating and delivering, and at random, while receivers fail at times."""

from tests.chaos.harness import faults, receivers
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
VICTIMS = (
    "worker-deliveries",
    "worker-deliveries",
    "worker-upkeep",
    "worker-reports",
    "beat",
    "beat-2",
    "web",
    "postgres",
    "redis",
)
HIT_SECONDS = 90.0
DRAIN_SECONDS = 400.0
# So many receivers' refusals, for each time that a schedule is brought.
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


@scenario(
    "DELIVERIES", "`kill -9` of any process while schedules fire and every kind of receiver is told", plan=SENDING
)
def kill_anything(run: Run) -> None:
    kills = run.times(100)
    with receivers.world(run.stack) as world:
        world.make_schedules(len(kills))
        for _ in kills:
            _bring(run, world)
            wait_for(world.unfinished, seconds=HIT_SECONDS)
            wait_for(lambda: run.hit(faults.kill(run.stack, run.chance.choice(VICTIMS))), seconds=HIT_SECONDS)
        _settle(run, world)


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
