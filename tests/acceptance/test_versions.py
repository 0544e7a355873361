"""An import is undone, as whoever made the mistake would do it; and the files are tidied, as an operator would have it done."""

import json

import pytest

from tests.client import Client, as_dicts, reckoner

pytestmark = pytest.mark.stack

RIGHT = b"order_id,customer_id,ordered_at,amount\n" + b"".join(
    b"%d,c%d,2026-01-%02d,10.50\n" % (number, number % 3, number % 28 + 1) for number in range(1, 31)
)
WRONG = b"order_id,customer_id,ordered_at,amount,shop\n1,c1,2026-01-02,99999,Bath\n"


def run(client: Client, *arguments: str) -> str:
    done = reckoner(client.stack, *arguments, key=client.key)
    assert done.returncode == 0, done.stderr
    return done.stdout


def pinned(client: Client, version: int) -> bytes:
    answer = client.http.post(
        "/v1/reports",
        json={"type": "revenue_trend", "params": {}, "dataset_versions": {"orders": version}, "max_age": 0},
    )
    assert answer.status_code == 202, answer.text
    job = client.finish(answer.json())
    assert job["status"] == "succeeded", job
    return client.http.get(job["links"]["result"], params={"format": "csv"}).content


def test_an_import_is_undone_from_the_command_line(client: Client) -> None:
    assert client.import_("orders", RIGHT)["status"] == "succeeded"
    before = pinned(client, 0)
    assert client.import_("orders", WRONG, mode="replace")["status"] == "succeeded"
    wrong = pinned(client, 1)
    assert wrong != before

    listed = json.loads(run(client, "datasets", "list", "--json"))
    assert [(one["name"], one["version"], one["rows"]) for one in listed] == [("orders", 1, 1)]
    assert "shop" in run(client, "datasets", "show", "orders")
    plan = run(client, "datasets", "restore", "orders", "--version", "0", "--dry-run")
    assert "would have the 30 rows of version 0" in plan
    assert "without its columns: shop" in plan
    refused = reckoner(client.stack, "datasets", "restore", "orders", "--version", "0", "--json", key=client.key)
    assert refused.returncode == 2, "a program says --yes"
    done = run(client, "datasets", "restore", "orders", "--version", "0", "--yes")
    assert "orders has the rows of version 0 again, as version 2" in done
    again = reckoner(client.stack, "datasets", "restore", "orders", "--version", "2", "--yes", key=client.key)
    assert again.returncode != 0
    assert "is the current version" in again.stderr

    kinds = json.loads(run(client, "datasets", "versions", "orders", "--json"))
    assert [(one["version"], one["made_by"], one["readable"]) for one in kinds] == [
        (2, "restore", True),
        (1, "import", True),
        (0, "import", True),
    ]
    assert [pinned(client, version) for version in (0, 1, 2)] == [before, wrong, before]
    assert as_dicts(client.report("revenue_trend"))


def test_an_operator_has_datasets_tidied(client: Client) -> None:
    client.import_("orders", RIGHT)
    foreseen = json.loads(run(client, "lake", "tidy", "--dataset", "orders", "--dry-run", "--json"))
    assert {one["dataset"] for one in foreseen} == {"orders"}
    assert all(one["remove_files"] == one["give_up_versions"] == 0 for one in foreseen)
    unknown = reckoner(client.stack, "lake", "tidy", "--organisation", "nobody of this name")
    assert (unknown.returncode, "there is no organisation" in unknown.stderr) == (1, True)
    accepted = json.loads(run(client, "lake", "tidy", "--dataset", "orders", "--json"))
    assert len(accepted) == len(foreseen)
    job = client.finish(client.http.get("/v1/jobs", params={"kind": "compaction"}).json()["data"][0])
    assert (job["status"], job["dataset_version"]) == ("succeeded", None), "there was nothing to gather"
