"""`docs/client.py`, which people copy, against the real stack, also where the connection breaks at the worst moment."""

import csv
import importlib.util
import itertools
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import pytest

from cli.stack import Stack
from tests import generated
from tests.chaos.harness.proxy import Direction, Shape, TcpProxy
from tests.client import ROOT, Client

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def library() -> ModuleType:
    """The file as somebody has it who copied it: on its own."""
    spec = importlib.util.spec_from_file_location("copied_client", ROOT / "docs" / "client.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["copied_client"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Iterator[Client]:
    with Client.of_new_organisation(stack) as client:
        yield client


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generated.orders(tmp_path_factory.mktemp("copied"), customers=300)


@pytest.fixture(scope="module")
def reckoner(library: ModuleType, shop: Client, orders: Path) -> Any:
    reckoner = library.Reckoner(shop.stack.web_url, shop.key)
    assert reckoner.import_file(orders, dataset="orders", max_rejects=0)["rows"]["rejected"] == 0
    return reckoner


@pytest.fixture
def proxy(shop: Client) -> Iterator[TcpProxy]:
    address = urlsplit(shop.stack.web_url)
    assert address.hostname is not None
    assert address.port is not None
    with TcpProxy((address.hostname, address.port)) as proxy:
        yield proxy


def test_it_needs_nothing_but_python() -> None:
    lines = (ROOT / "docs" / "client.py").read_text(encoding="utf-8").splitlines()
    modules = {line.split()[1].split(".")[0] for line in lines if line.startswith(("import ", "from "))}
    assert modules <= set(sys.stdlib_module_names)


def test_rows_page_by_page_are_the_result(reckoner: Any) -> None:
    job = reckoner.report("rfm", {"bins": 4})
    result = reckoner.result(job)
    names = [column["name"] for column in result["columns"]]
    rows = list(reckoner.rows(job, page=100))
    assert len(rows) == result["row_count"] > 200
    assert [row["customer_id"] for row in rows] == [row[names.index("customer_id")] for row in result["rows"]]
    assert sum(row["monetary"] for row in rows) == sum(Decimal(row[names.index("monetary")]) for row in result["rows"])


def test_a_result_is_saved_whole_in_the_format_of_its_name(reckoner: Any, tmp_path: Path) -> None:
    job = reckoner.report("revenue_trend", {"period": "quarter"})
    with reckoner.save(job, tmp_path / "trend.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == reckoner.result(job)["row_count"]
    assert reckoner.save(job, tmp_path / "trend.parquet").read_bytes()[:4] == b"PAR1"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["trend.csv", "trend.parquet"]


def test_what_is_wrong_is_said_with_its_place(library: ModuleType, reckoner: Any) -> None:
    with pytest.raises(library.Problem, match="bins") as caught:
        reckoner.submit("rfm", {"bin": 4})
    assert caught.value.status == 422
    assert caught.value.type == "/docs/problems/invalid-request"
    assert [error["pointer"] for error in caught.value.errors] == ["#/params/bin"]
    with pytest.raises(library.Problem) as caught:
        library.Reckoner(f"http://{reckoner._at.netloc}", "rk_wrong").submit("rfm")
    assert caught.value.status == 401


def test_a_job_that_fails_is_an_exception_with_the_job(library: ModuleType, reckoner: Any, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_bytes(b"\x00\x01\x02 nothing that is a table \xff\xfe" * 100)
    with pytest.raises(library.JobFailed) as caught:
        reckoner.import_file(bad, dataset="orders")
    assert caught.value.job["status"] == "failed"
    assert str(caught.value) == caught.value.job["error"]["detail"]


def test_patience_ends(library: ModuleType, reckoner: Any, proxy: TcpProxy) -> None:
    proxy.refuse()
    away = library.Reckoner(f"http://127.0.0.1:{proxy.port}", "rk_any", patience=1)
    with pytest.raises(library.Unreachable, match="POST /v1/reports"):
        away.submit("rfm")


@pytest.mark.parametrize("what", ["report", "import"])
def test_an_answer_nobody_hears_is_one_job(
    reckoner: Any, shop: Client, proxy: TcpProxy, orders: Path, what: str
) -> None:
    unlucky = type(reckoner)(f"http://127.0.0.1:{proxy.port}", shop.key)
    ask = {
        "report": lambda: unlucky.report("rfm", {"bins": 3}, max_age=0),
        "import": lambda: unlucky.import_file(orders, dataset="orders"),
    }
    before = {job["id"] for job in reckoner.listing("/v1/jobs")}
    proxy.cut_after_answer_to(b"POST /v1/", times=2)
    job = ask[what]()
    assert proxy.cuts == 2
    assert {one["id"] for one in reckoner.listing("/v1/jobs")} - before == {job["id"]}


def test_a_download_that_breaks_off_is_fetched_again(
    library: ModuleType, reckoner: Any, shop: Client, proxy: TcpProxy, tmp_path: Path
) -> None:
    job = reckoner.report("rfm", {"bins": 5})
    whole = reckoner.save(job, tmp_path / "whole.csv").read_bytes()
    proxy.shape(Shape(cut_after=len(whole) // 2), Direction.TO_CLIENT)
    unlucky = library.Reckoner(f"http://127.0.0.1:{proxy.port}", shop.key, patience=1)
    with pytest.raises(library.Unreachable):
        unlucky.save(job, tmp_path / "broken.csv")
    assert not (tmp_path / "broken.csv").exists()
    proxy.heal()
    assert unlucky.save(job, tmp_path / "again.csv").read_bytes() == whole


def test_a_signature_is_checked(library: ModuleType) -> None:
    # The example of the specification of Standard Webhooks.
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    body = b'{"test": 2432232314}'
    assert library.verify_webhook(secret, headers, body, now=1614265330) == {"test": 2432232314}
    wrong = itertools.chain(
        [(body + b" ", headers)], ((body, {**headers, name: "1614265331"}) for name in list(headers)[:2])
    )
    for changed, said in wrong:
        with pytest.raises(ValueError, match="signature"):
            library.verify_webhook(secret, said, changed, now=1614265330)
    with pytest.raises(ValueError, match="is from"):
        library.verify_webhook(secret, headers, body)
