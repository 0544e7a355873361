"""The accounts of what was told find out whatever is missing, twice, or at somebody else's."""

import json
from collections import Counter
from email.message import EmailMessage
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from tests.chaos.harness import receivers
from tests.chaos.harness.receivers import Shop, World
from tests.client import Client
from tests.integration.receiver import Received, Receiver

JOB, SCHEDULE, OTHER = "job-1", "schedule-1", "schedule-2"
CONTENT = b"customer_id,segment\r\n1,Lost\r\n"
REQUEST = httpx.Request("GET", "http://localhost/")
SLOT = (SCHEDULE, "09:01", JOB, "succeeded", "fired")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Two shops of which the first has had a slot, and everything that is to be told of it has come."""
    client = SimpleNamespace(
        http=SimpleNamespace(get=lambda *_, **__: httpx.Response(200, content=CONTENT, request=REQUEST))
    )
    shops = [
        Shop(cast("Client", client), number, ["Lost", "New"], tmp_path, [one])
        for number, one in enumerate((SCHEDULE, OTHER))
    ]
    (tmp_path / f"{JOB}.csv").write_bytes(CONTENT)
    stack = SimpleNamespace(mailbox=SimpleNamespace(messages=[]))
    hooks = SimpleNamespace(received=[])
    return World(cast("Any", stack), cast("Receiver", hooks), shops)


def rows(world: World) -> list[tuple[Any, ...]]:
    shop = world.shops[0]
    people = [shop.everybody, shop.address("Lost"), shop.address("New")]
    told: list[tuple[str, str | None]] = [("webhook", None), ("file", None), *(("email", to) for to in people)]
    return [
        (str(number), channel, "succeeded", "report.succeeded", JOB, to) for number, (channel, to) in enumerate(told)
    ]


def lost(world: World, made: list[tuple[Any, ...]], *, but: str = "") -> list[str]:
    arrived = Counter(row[0] for row in made if row[0] != but)
    return list(receivers._lost_deliveries(world, [SLOT], made, arrived))


def test_books_that_balance_have_nothing_in_them(world: World) -> None:
    made = rows(world)
    assert lost(world, made) == []
    assert list(receivers._lost_slots([SCHEDULE], [SLOT] * receivers.SLOTS)) == []
    assert list(receivers._doubled_deliveries(made)) == []


@pytest.mark.parametrize("place", range(5))
def test_what_was_not_written_down_is_missed(world: World, place: int) -> None:
    made = rows(world)
    gone = made.pop(place)
    assert lost(world, made) == [f"{gone[1]} to {gone[5]} of job {JOB}"]


@pytest.mark.parametrize("place", ["0", "2", "3", "4"])
def test_what_never_arrived_is_missed(world: World, place: str) -> None:
    [found] = lost(world, rows(world), but=place)
    assert found.endswith("never arrived")


def test_a_file_that_is_not_there_is_missed(world: World) -> None:
    (world.shops[0].delivered / f"{JOB}.csv").unlink()
    assert lost(world, rows(world)) == [f"file of job {JOB}"]


def test_a_file_with_something_else_in_it_is_missed(world: World) -> None:
    (world.shops[0].delivered / f"{JOB}.csv").write_bytes(CONTENT[:-1])
    assert lost(world, rows(world)) == [f"file of job {JOB}"]


def test_slots_and_messages_that_are_too_few_or_too_many_are_found(world: World) -> None:
    assert len(list(receivers._lost_slots([SCHEDULE], [SLOT]))) == 1
    waiting = (SCHEDULE, "09:02", None, "waiting", "waiting")
    assert len(list(receivers._lost_slots([SCHEDULE], [SLOT] * (receivers.SLOTS - 1) + [waiting]))) == 1
    made = rows(world)
    assert len(list(receivers._doubled_deliveries([*made, ("9", *made[0][1:])]))) == 1
    assert len(list(receivers._unknown(made, Counter({"0": 1, "77": 1})))) == 1


def test_what_was_refused_has_not_arrived(world: World) -> None:
    def came(status: int) -> Received:
        return Received("/shop0", {"content-length": "2", "webhook-id": "0"}, b"{}", status)

    world.hooks.received[:] = [came(500), came(0)]
    assert not receivers._arrived(world)
    world.hooks.received[:] = [came(500), came(204), came(204)]
    assert receivers._arrived(world) == Counter({"0": 2})


def test_what_came_to_the_wrong_one_is_found(world: World) -> None:
    body = json.dumps({"data": {"schedule_id": OTHER}}).encode()
    world.hooks.received.append(Received("/shop0", {"content-length": str(len(body))}, body))
    assert len(list(receivers._of_others(world, rows(world)))) == 1
    # Half a message is none.
    world.hooks.received[:] = [Received("/shop0", {"content-length": str(len(body) + 1)}, body)]
    assert list(receivers._of_others(world, rows(world))) == []


@pytest.mark.parametrize(("segments", "wrong"), [(["Lost"], 0), (["Lost", "New"], 1), (["New"], 1), ([], 1)])
def test_rows_of_others_are_found(world: World, segments: list[str], wrong: int) -> None:
    message = EmailMessage()
    message["To"] = world.shops[0].address("Lost")
    message["X-Reckoner-Delivery"] = "3"
    message.set_content("The report is attached.")
    message.add_attachment(
        "customer_id,segment\n" + "".join(f"c,{name}\n" for name in segments), subtype="csv", filename="x"
    )
    world.stack.mailbox.messages.append(message)
    assert len(list(receivers._of_others(world, rows(world)))) == wrong
    message.replace_header("To", world.shops[0].address("New"))
    assert any("was not for" in found for found in receivers._of_others(world, rows(world)))
