"""The accounts, tried on books that are cooked: each invariant must be able to fail."""

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.harness import accounts, mix
from tests.chaos.harness.ledger import Answer, Attempt, Ledger, Work
from tests.chaos.harness.suite import Pool
from tests.chaos.stack.probes import ProbeType

Cook = Callable[[Ledger, str], None]


@pytest.fixture
def ledger(pool: Pool, tmp_path: Path) -> Ledger:
    """A book of three credits that are done."""
    stack = pool.get(mix.QUICK)
    book = Ledger(stack, tmp_path, [stack.new_organisation()])
    for n in (1, 20, 300):
        book.submit(Work.probe(ProbeType.CREDIT, n=n))
    accounts.wait_until_drained(book, seconds=60)
    return book


def _change(ledger: Ledger, statement: str, job_id: str) -> None:
    with ledger.stack.connect() as connection:
        connection.execute(statement.encode(), {"job": job_id})


def _double_the_effect(ledger: Ledger, job_id: str) -> None:
    columns = "job_id, organisation_id, attempt, n"
    _change(
        ledger,
        f"INSERT INTO effect_log ({columns}) SELECT {columns} FROM effect_log WHERE job_id = %(job)s",
        job_id,
    )


def _forget_the_effect(ledger: Ledger, job_id: str) -> None:
    _change(ledger, "DELETE FROM effect_log WHERE job_id = %(job)s", job_id)


def _take_from_the_account(ledger: Ledger, job_id: str) -> None:
    _change(
        ledger,
        "UPDATE account SET balance = balance - 1"
        " WHERE organisation_id = (SELECT organisation_id FROM jobs WHERE id = %(job)s)",
        job_id,
    )


def _forget_the_key(ledger: Ledger, job_id: str) -> None:
    _change(ledger, "DELETE FROM idempotency_keys WHERE job_id = %(job)s", job_id)


def _leave_the_final_state(ledger: Ledger, job_id: str) -> None:
    _change(
        ledger,
        "INSERT INTO job_events (job_id, from_status, to_status, reason, attempt)"
        " VALUES (%(job)s, 'succeeded', 'running', 'claimed', 2)",
        job_id,
    )


def _succeed_twice(ledger: Ledger, job_id: str) -> None:
    _change(
        ledger,
        "INSERT INTO job_events (job_id, from_status, to_status, reason, attempt)"
        " VALUES (%(job)s, 'running', 'succeeded', 'finished', 2)",
        job_id,
    )


def _effect_of_another_attempt(ledger: Ledger, job_id: str) -> None:
    _change(ledger, "UPDATE effect_log SET attempt = attempt + 1 WHERE job_id = %(job)s", job_id)


def _effect_of_nobody(ledger: Ledger, job_id: str) -> None:
    _change(
        ledger,
        "INSERT INTO effect_log (job_id, organisation_id, attempt, n)"
        " SELECT gen_random_uuid(), organisation_id, 1, 0 FROM jobs WHERE id = %(job)s",
        job_id,
    )


def _acknowledge_what_is_not_there(ledger: Ledger, _job_id: str) -> None:
    ledger.write(_attempt(ledger, Answer.ACKED, 202, str(uuid.uuid4())))


def _hear_nothing(ledger: Ledger, _job_id: str) -> None:
    ledger.write(_attempt(ledger, Answer.UNKNOWN, None, None))


def _attempt(ledger: Ledger, answer: Answer, status: int | None, job_id: str | None) -> Attempt:
    return Attempt(
        key=uuid.uuid4().hex,
        organisation=str(ledger.organisations[0].id),
        path="/v1/probes",
        type="credit",
        answer=answer,
        status=status,
        job_id=job_id,
        seconds=0.01,
        at=0.0,
    )


def test_clean_books_are_clean(ledger: Ledger) -> None:
    made = accounts.take(ledger, seed=1)
    made.assert_clean()
    assert made.acked == 3
    assert made.statuses == {"succeeded": 3}


@pytest.mark.parametrize(
    ("cook", "found"),
    [
        (_double_the_effect, "doubled"),
        (_forget_the_effect, "missing_effects"),
        (_take_from_the_account, "balances"),
        (_forget_the_key, "unexpected"),
        (_effect_of_nobody, "unexpected"),
        (_leave_the_final_state, "wrong_events"),
        (_succeed_twice, "many_commits"),
        (_effect_of_another_attempt, "many_commits"),
        (_acknowledge_what_is_not_there, "lost"),
        (_hear_nothing, "unresolved"),
    ],
)
def test_cooked_books_are_found_out(ledger: Ledger, cook: Cook, found: str) -> None:
    cook(ledger, ledger.job_ids[0])
    made = accounts.take(ledger, seed=1)
    assert found in made.problems()
    with pytest.raises(AssertionError, match="seed 1"):
        made.assert_clean()
