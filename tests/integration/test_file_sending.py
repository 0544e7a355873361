"""Reports as files: whole or not at all, where they may be and nowhere else."""

import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import httpx
import pytest
from moto.server import ThreadedMotoServer
from sqlalchemy import select, update

from models import session, settings
from models.delivery import Delivery
from models.job import Job
from tests.integration import receiver, test_email_sending
from tests.integration.web_api import Caller
from workers.deliveries import by_file, folders, sending

ORGANISATION = uuid.UUID(int=1)
report, of = test_email_sending.report, test_email_sending.of


@pytest.fixture
def root(database: settings.Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    receiver.empty_outbox()
    opened = tmp_path / "opened"
    opened.mkdir()
    (tmp_path / "closed").mkdir()
    monkeypatch.setenv("DELIVERY_FOLDERS", f"{opened}, memory://reports/{{organisation}}")
    settings.load.cache_clear()
    yield opened
    monkeypatch.undo()
    settings.load.cache_clear()


def file(url: object, name: str = "{type}-{date}.csv", fmt: str = "csv") -> dict[str, Any]:
    return {"channel": "file", "url": str(url), "format": fmt, "name": name}


def test_a_report_is_written_whole_and_again_the_same(caller: Caller, root: Path) -> None:
    job_id = report(caller, file(root / "books" / "2026"), file(root, "{id}.xlsx", "xlsx"))
    sending.send_due()
    deliveries = of(job_id)
    assert [(one.status, one.error) for one in deliveries] == [("succeeded", None)] * 2
    with session.transaction() as db:
        finished = db.get_one(Job, job_id).finished_at
    assert finished is not None
    written = root / "books" / "2026" / f"rfm-{finished:%Y-%m-%d}.csv"
    book = root / f"{job_id}.xlsx"
    before = [(path.read_bytes(), path.stat().st_ino) for path in (written, book)]
    assert before[0][0].startswith(b"customer,orders")
    with session.transaction() as db:
        again = {"status": "pending", "finished_at": None}
        db.execute(update(Delivery).where(Delivery.job_id == job_id).values(again))
    sending.send_due()
    after = [(path.read_bytes(), path.stat().st_ino) for path in (written, book)]
    assert [found[0] for found in before] == [found[0] for found in after]
    # Not written over: another file took its place.
    assert all(old[1] != new[1] for old, new in zip(before, after, strict=True))
    assert sorted(path.name for path in root.rglob("*")) == sorted(["books", "2026", written.name, book.name])


def test_nobody_sees_half_a_file(root: Path, tmp_path: Path) -> None:
    """Whoever looks while a file is replaced sees the old one or the new one."""
    old, new = b"o" * 4_000_000, b"n" * 4_000_000
    target, source = root / "report.csv", tmp_path / "source"
    target.write_bytes(old)
    source.write_bytes(new)
    seen: set[bytes] = set()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.add(target.read_bytes())

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    for _ in range(5):
        by_file._move_in(source, target, mark="1")
    done.set()
    watcher.join()
    seen.add(target.read_bytes())
    assert new in seen
    assert seen <= {old, new}
    assert [path.name for path in root.iterdir()] == ["report.csv"]


def test_a_link_that_leads_out_is_not_followed(caller: Caller, root: Path) -> None:
    outside = root.parent / "closed"
    (root / "out").symlink_to(outside)
    job_id = report(caller, file(root / "out"), file(root / "out" / "deeper"))
    sending.send_due()
    assert {(one.status, one.error) for one in of(job_id)} == {
        ("failed", "A link in the folder leads out of where files may be delivered.")
    }
    assert list(outside.iterdir()) == []


def test_a_folder_that_was_closed_meanwhile_gets_nothing(caller: Caller, root: Path) -> None:
    job_id = report(caller, file(root.parent / "closed"))
    sending.send_due()
    [delivery] = of(job_id)
    assert (delivery.status, delivery.attempts) == ("failed", 1)
    assert list((root.parent / "closed").iterdir()) == []


def test_another_store_is_written_to_by_the_same_interface(caller: Caller, root: Path) -> None:
    mine = f"memory://reports/{caller.organisation_id}"
    others = f"memory://reports/{uuid.uuid4()}"
    job_id = report(caller, file(mine, "{type}.csv"), file(others, "{type}.csv"))
    sending.send_due()
    with session.transaction() as db:
        query = select(Delivery.target["url"].as_string(), Delivery.status).where(Delivery.job_id == job_id)
        assert dict(db.execute(query).all()) == {mine: "succeeded", others: "failed"}
    store = fsspec.filesystem("memory")
    assert store.cat(f"/reports/{caller.organisation_id}/rfm.csv").startswith(b"customer,orders")


def test_an_object_store_is_written_to(
    caller: Caller, root: Path, object_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DELIVERY_FOLDERS", "s3://reports/sent")
    settings.load.cache_clear()
    job_id = report(caller, file("s3://reports/sent/2026", "{type}.csv"))
    sending.send_due()
    [delivery] = of(job_id)
    assert (delivery.status, delivery.error) == ("succeeded", None)
    got = httpx.get(f"{object_store}/reports/sent/2026/rfm.csv", trust_env=False)
    assert got.content.startswith(b"customer,orders")


@pytest.fixture
def object_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server that speaks S3, with a bucket `reports`."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    said = {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
    }
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    httpx.put(f"{address}/reports", trust_env=False).raise_for_status()
    yield address
    server.stop()


ROOTS = ("/srv/reports", "s3://bucket/reports/{organisation}")
WITHIN = (
    "/srv/reports",
    "/srv/reports/",
    "/srv/reports/a/b",
    "file:///srv/reports/a",
    "//srv/reports//a",
    f"s3://bucket/reports/{ORGANISATION}/x",
)
WITHOUT = (
    "/srv/reports2",
    "/srv",
    "/",
    "/srv/reports/../secret",
    "/srv/reports/./a",
    "/srv/reports/%2e%2e/a",
    "file://host/srv/reports",
    "srv/reports",
    "s3://bucket/reports",
    "s3://bucket/reports/other",
    f"s3://bucket2/reports/{ORGANISATION}",
    f"s3://key:secret@bucket/reports/{ORGANISATION}",
    f"gs://bucket/reports/{ORGANISATION}",
    f"s3://bucket/reports/{ORGANISATION}?endpoint_override=evil",
    "/srv/reports/a\nb",
    "/srv/reports\\..\\x",
    "",
)


@pytest.mark.parametrize("url", WITHIN)
def test_folders_below_a_root(url: str) -> None:
    assert "reports" in folders.parse(url, roots=ROOTS, organisation_id=ORGANISATION)


@pytest.mark.parametrize("url", WITHOUT)
def test_folders_that_are_not(url: str) -> None:
    with pytest.raises(folders.RefusedError):
        folders.parse(url, roots=ROOTS, organisation_id=ORGANISATION)


@pytest.mark.parametrize("name", ["../x.csv", "a/b.csv", ".hidden", "{secret}.csv", "{type}\n.csv", "", "x" * 200, "é"])
def test_names_that_no_file_gets(name: str) -> None:
    with pytest.raises(folders.RefusedError):
        folders.check_template(name)
