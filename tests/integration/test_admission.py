"""Fair share, against a real PostgreSQL: who is let in to the broker, in what order, and how many at once."""

import threading
import uuid
from collections import Counter

import pytest
import sqlalchemy as sa

from models import admission, organisations, session, transitions
from models.admission import Admitted, Lane
from models.job import Job
from models.job_states import JobKind, Reason
from models.organisation import Organisation

pytestmark = pytest.mark.usefixtures("database")

SHARE = 8


@pytest.fixture
def lane() -> Lane:
    return _new_lane()


def _new_lane(queue: str | None = None) -> Lane:
    with session.transaction() as db:
        organisation_id = organisations.ensure(db, f"org {uuid.uuid4()}").id
    # A queue of its own for each test: what is contested is told by queue.
    return Lane(organisation_id, queue or f"q{uuid.uuid4().hex}")


def _accept(lane: Lane, count: int = 1, *, priority: int = 5) -> list[uuid.UUID]:
    accepted = []
    for _ in range(count):
        with session.transaction() as db:
            new = transitions.NewJob(
                organisation_id=lane.organisation_id,
                kind=JobKind.REPORT,
                type="rfm",
                params={},
                queue=lane.queue,
                priority=priority,
            )
            accepted.append(transitions.accept(db, new).id)
    return accepted


def _admit(lane: Lane, *, max_in_flight: int = SHARE) -> list[Admitted]:
    with session.transaction() as db:
        return admission.admit(db, lane, max_in_flight=max_in_flight)


def _run(job_id: uuid.UUID) -> None:
    with session.transaction() as db:
        assert transitions.claim(db, job_id, worker_id=uuid.uuid4(), pid=1, lease_seconds=30) is not None


def _finish(job_id: uuid.UUID) -> None:
    with session.transaction() as db:
        assert transitions.succeed(db, job_id, attempt=1, outcome=None, keep_result=None, max_in_flight=1)


def _age_messages(lane: Lane, seconds: int) -> None:
    with session.transaction() as db:
        earlier = Job.published_at - sa.func.make_interval(0, 0, 0, 0, 0, 0, seconds)
        db.execute(sa.update(Job).where(Job.queue == lane.queue).values(published_at=earlier))


def test_no_more_than_the_share_is_let_in_and_the_rest_in_order_of_priority_and_age(lane: Lane) -> None:
    ordinary = _accept(lane, SHARE)
    urgent = _accept(lane, 2, priority=9)
    first = _admit(lane)
    assert [job.id for job in first] == [*urgent, *ordinary[: SHARE - 2]]
    assert _admit(lane) == []


def test_who_is_alone_needs_no_express_and_who_comes_second_gets_it(lane: Lane) -> None:
    _accept(lane, SHARE)
    rival = _new_lane(lane.queue)
    _accept(rival, 3)
    assert [job.express for job in _admit(lane)] == [False] * SHARE
    assert [job.express for job in _admit(rival)] == [True, False, False]


def test_among_rivals_the_next_job_takes_the_express_list_as_soon_as_its_place_there_is_free(lane: Lane) -> None:
    rival = _new_lane(lane.queue)
    _accept(rival, 2 * SHARE)
    _admit(rival)
    ids = _accept(lane, SHARE + 2)
    express, *_ = _admit(lane)
    assert express.express
    _run(express.id)
    assert _admit(lane) == [], "a running job counts"
    _finish(express.id)
    assert [(job.id, job.express) for job in _admit(lane)] == [(ids[SHARE], True)]


def test_a_lane_with_enough_waiting_is_refilled_a_few_at_a_time(lane: Lane) -> None:
    _accept(lane, 3 * SHARE)
    messages = _admit(lane)
    for job in messages[:4]:
        _run(job.id)
        _finish(job.id)
    assert _admit(lane) == []
    for job in messages[4:6]:
        _run(job.id)
        _finish(job.id)
    assert len(_admit(lane)) == 6


def test_a_job_that_is_not_due_waits(lane: Lane) -> None:
    (later,) = _accept(lane)
    with session.transaction() as db:
        db.execute(sa.update(Job).where(Job.id == later).values(run_at=sa.func.now() + sa.text("interval '1 h'")))
        assert lane not in admission.lanes_waiting(db, for_seconds=0)
    assert _admit(lane) == []


def test_an_organisation_may_have_a_share_of_its_own(lane: Lane) -> None:
    with session.transaction() as db:
        db.execute(sa.update(Organisation).where(Organisation.id == lane.organisation_id).values(max_in_flight=2))
    _accept(lane, 5)
    assert len(_admit(lane)) == 2


def test_many_at_once_let_in_no_more_than_the_share(lane: Lane) -> None:
    _accept(lane, 4 * SHARE)
    barrier = threading.Barrier(8)
    let_in: Counter[uuid.UUID] = Counter()

    def race() -> None:
        barrier.wait()
        let_in.update(job.id for job in _admit(lane))

    threads = [threading.Thread(target=race, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(let_in) == SHARE
    assert set(let_in.values()) == {1}


def test_what_was_not_sent_waits_again(lane: Lane) -> None:
    ids = _accept(lane, 2)
    _admit(lane)
    with session.transaction() as db:
        admission.withdraw(db, ids)
        assert lane in admission.lanes_waiting(db, for_seconds=0)
    assert [(job.id, job.publishes) for job in _admit(lane)] == [(job_id, 1) for job_id in ids]


def test_lanes_with_waiting_jobs_are_found_and_messages_under_way_are_known(lane: Lane) -> None:
    ids = _accept(lane, 2)
    with session.statement() as db:
        assert lane in admission.lanes_waiting(db, for_seconds=0)
        assert lane not in admission.lanes_waiting(db, for_seconds=60)
    _admit(lane)
    with session.statement() as db:
        assert lane not in admission.lanes_waiting(db, for_seconds=0)
        assert ids[0] not in admission.published(db, for_seconds=60)
        assert {job_id for job_id, at in admission.published(db, for_seconds=0).items() if at == lane} == set(ids)
    with session.transaction() as db:
        assert admission.forget_messages(db, ids[:1]) == 1
    with session.statement() as db:
        assert lane in admission.lanes_waiting(db, for_seconds=0)


def test_a_lane_that_the_express_list_passes_by_is_promoted(lane: Lane) -> None:
    """All it was allowed is in the ordinary list, which nobody empties while others keep the express list full."""
    oldest, *_ = _accept(lane, 3)
    _admit(lane)
    _age_messages(lane, 60)
    with session.transaction() as db:
        assert admission.promote_overtaken(db, after_seconds=30) == [], "nobody is in its way"
    rival = _new_lane(lane.queue)
    _accept(rival)
    assert [job.express for job in _admit(rival)] == [True]
    with session.transaction() as db:
        promoted = admission.promote_overtaken(db, after_seconds=30)
    assert [(job.id, job.express, job.publishes) for job in promoted] == [(oldest, True, 2)]
    with session.transaction() as db:
        assert admission.promote_overtaken(db, after_seconds=30) == [], "one at a time"


def test_a_job_that_lost_its_worker_goes_first_and_keeps_its_place_in_the_share(lane: Lane) -> None:
    ids = _accept(lane, 2 * SHARE)
    _admit(lane)
    _run(ids[0])
    with session.transaction() as db:
        lost = db.get_one(Job, ids[0])
        assert transitions.give_up_lost(db, lost, reason=Reason.WORKER_LOST) == "queued"
        again = admission.admit_again(db, ids[:1])
    assert [(job.id, job.express, job.publishes) for job in again] == [(ids[0], True, 2)]
    assert _admit(lane) == [], "the share is as full as before"
