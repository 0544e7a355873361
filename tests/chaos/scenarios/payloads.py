"""Files that are huge, broken, empty or malicious."""

import gzip
import io
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.harness import looks
from tests.chaos.harness.ledger import Clerk, Ledger, Work, mixed
from tests.chaos.harness.running import ChaosStack
from tests.chaos.harness.scenario import Run, scenario
from tests.chaos.scenarios.steps_of_the_code import ORDERS_HEADER, an_import
from tests.client import Json

HUGE_BYTES = 100_000_000
BOMB_BYTES = 3_000_000_000
LONGEST_LINE_BYTES = 100_000_000
WORKERS = ("worker-imports", "worker-heavy")
MEGABYTE = 1_000_000
ROW = "{number},customer-{customer},2024-03-{day:02}T12:00:00Z,9.50\n"


@dataclass(frozen=True, slots=True)
class Payload:
    """A file, and how its import must end: in which state, with how many rows rejected where it succeeds."""

    name: str
    make: Callable[[float], bytes]
    ends: frozenset[str]
    rejected: int | None = None


def _rows(number: int) -> str:
    return "".join(ROW.format(number=each, customer=each % 1_000, day=each % 28 + 1) for each in range(number))


def _huge(scale: float) -> bytes:
    rows = _rows(10_000).encode()
    pieces = range(max(1, round(HUGE_BYTES * scale / len(rows))))
    # Other ids in each piece, or most rows would be later versions of the same orders.
    return ORDERS_HEADER.encode() + b"".join(rows.replace(b",customer", b"-%d,customer" % piece) for piece in pieces)


def _broken_utf8(_: float) -> bytes:
    return ORDERS_HEADER.encode() + b"1,caf\xc3,2024-03-01T12:00:00Z,9.50\n2,\xff\xfe\x80,2024-03-01T12:00:00Z,1\n"


def _nan_keys(_: float) -> bytes:
    keys = ("", "NaN", "null", "None", "  ")
    return (ORDERS_HEADER + "".join(f"{key},customer-1,2024-03-01T12:00:00Z,9.50\n" for key in keys)).encode()


def _bomb(scale: float) -> bytes:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9, mtime=0) as file:
        file.write(ORDERS_HEADER.encode())
        for _ in range(max(300, round(BOMB_BYTES * scale / MEGABYTE))):
            file.write(b"0" * MEGABYTE)
    return packed.getvalue()


def _gzipped(_: float) -> bytes:
    return gzip.compress((ORDERS_HEADER + _rows(5_000)).encode(), mtime=0)


def _damaged(scale: float) -> bytes:
    whole = bytearray(_gzipped(scale))
    whole[len(whole) // 2] ^= 0xFF
    return bytes(whole)


def _not_gzip_inside(_: float) -> bytes:
    return gzip.compress(zlib.compress(random.Random(1).randbytes(50_000)), mtime=0)


FAILS = frozenset({"failed"})
# A reason to refuse may be found before the job is accepted or after.
REFUSED = frozenset({"4xx", "failed"})
PAYLOADS = (
    Payload("100 MB of orders", _huge, frozenset({"succeeded"}), rejected=0),
    Payload("one line of 100 MB", lambda scale: b"x" * round(LONGEST_LINE_BYTES * max(scale, 0.1)), FAILS),
    Payload("broken UTF-8", _broken_utf8, frozenset({"succeeded", "failed"})),
    # The second column gets a name of its own, and nothing of it is lost.
    Payload(
        "a header twice",
        lambda _: b"order_id,order_id,customer_id,ordered_at,amount\n1,2,c,2024-03-01,9\n",
        frozenset({"succeeded"}),
        rejected=0,
    ),
    Payload("no rows", lambda _: ORDERS_HEADER.encode(), frozenset({"succeeded", "failed"})),
    Payload("no bytes", lambda _: b"", frozenset({"4xx"})),
    Payload("keys that are NaN", _nan_keys, frozenset({"succeeded", "failed"}), rejected=5),
    Payload("a gzip bomb", _bomb, FAILS),
    Payload("a gzip file cut short", lambda scale: _gzipped(scale)[:-2_000], FAILS),
    Payload("a damaged gzip file", _damaged, FAILS),
    Payload("noise in gzip", _not_gzip_inside, FAILS),
    Payload("NUL bytes", lambda _: ORDERS_HEADER.encode() + b"1,\x00,2024-03-01,9.5\n", FAILS),
    Payload("3,000 columns", lambda _: ",".join(f"c{n}" for n in range(3_000)).encode() + b"\n1\n", FAILS),
)


@scenario("S37", "Files that are huge, broken, empty or malicious")
def payloads(run: Run) -> None:
    parents = {name: run.stack.pids[name] for name in WORKERS}
    ledger = run.ledger()
    # An organisation each: what one file leaves in the table must not decide how another ends.
    with run.load(mixed, rate=8, ledger=ledger), ledger.clerk() as clerk:
        told = {payload.name: _send(run, ledger, clerk, payload) for payload in PAYLOADS for _ in run.times(3)}
        good = [clerk.submit(an_import(run.chance), ledger.organisations[0]) for _ in range(5)]
    run.settle(ledger, within=300)
    for payload in PAYLOADS:
        _check(run, payload, told[payload.name])
    ends = {looks.state_of(run.stack, job_id)["status"] for job_id in good if job_id}
    assert ends == {"succeeded"}, f"imports beside them: {ends}"
    again = "SELECT count(*) FROM jobs WHERE id = ANY(%(ids)s::uuid[]) AND attempt <> 1"
    assert run.stack.one(again, {"ids": ledger.job_ids}) == 0, "something was tried again"
    assert {name: run.stack.pids.get(name) for name in WORKERS} == parents, "a worker ended"


def _send(run: Run, ledger: Ledger, clerk: Clerk, payload: Payload) -> str | None:
    run.injected()
    organisation = run.chance.choice(ledger.organisations)
    return clerk.submit(Work.import_("orders", payload.make(run.scale)), organisation)


def _check(run: Run, payload: Payload, job_id: str | None) -> None:
    if job_id is None:
        assert "4xx" in payload.ends, f"{payload.name} was not accepted"
        run.note(f"{payload.name}: not accepted")
        return
    ended = looks.state_of(run.stack, job_id)
    assert ended["status"] in payload.ends, (payload.name, ended)
    if ended["status"] == "failed":
        assert ended["error"]["type"] not in {"internal-error", "worker-crashed", "timed-out"}, (payload.name, ended)
        assert ended["error"]["detail"], (payload.name, ended)
        run.note(f"{payload.name}: {ended['error']['type']}")
        return
    rows = _outcome(run.stack, job_id)
    if payload.rejected is not None:
        assert rows["rejected"] == payload.rejected, (payload.name, rows)
    run.note(f"{payload.name}: succeeded, {rows}")


def _outcome(stack: ChaosStack, job_id: str) -> Json:
    rows: Json = stack.one("SELECT outcome->'rows' FROM jobs WHERE id = %(id)s", {"id": job_id})
    return rows
