"""A real server that logs all it can: whatever callers do with keys, none of them is in what it writes."""

import json
import time
from collections.abc import Iterator

import httpx
import pytest

from models import organisations, settings
from tests.integration import web_server
from tests.integration.web_api import Caller
from tests.integration.web_server import Server
from web import known_keys


@pytest.fixture(scope="module")
def server(database: settings.Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("talkative") / "log"
    with (
        web_server.listening() as listener,
        web_server.running(database, listener, log, LOG_LEVEL="DEBUG") as running,
    ):
        yield running


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def test_no_key_is_ever_in_the_log(server: Server, caller: Caller) -> None:
    wrong = organisations.new_secret().text
    with httpx.Client(base_url=server.url, timeout=20) as http:
        made = http.post("/v1/api-keys", json={"name": "x", "scopes": ["admin"]}, headers=bearer(caller.secret)).json()
        second = http.post(made["links"]["rotate"], headers=bearer(made["api_key"])).json()
        secrets = [caller.secret, made["api_key"], second["api_key"], wrong]
        answers = [
            http.request(method, path, headers=headers, json=body)
            for secret in secrets
            for method, path, headers, body in (
                ("GET", "/v1/reports", bearer(secret), None),
                ("GET", f"/v1/reports?api_key={secret}", {}, None),
                ("GET", f"/v1/reports?cursor={secret}", bearer(secret), None),
                ("GET", f"/v1/reports/{secret}", bearer(secret), None),
                ("GET", f"/{secret}", {}, None),
                ("GET", "/v1/reports", {"Authorization": secret, "X-Request-Id": f"{secret}!"}, None),
                ("POST", "/v1/reports", bearer(secret), {secret: secret}),
                ("POST", "/v1/api-keys", bearer(secret), {"name": secret, "scopes": [secret]}),
            )
        ]
        assert {answer.status_code for answer in answers} == {200, 401, 404, 422}
        assert http.delete(made["links"]["self"], headers=bearer(second["api_key"])).status_code == 200
    written = server.log.read_text()
    assert "key revoked" in written
    assert [secret for secret in secrets if secret in written] == []


def test_a_key_in_the_url_is_no_key(server: Server, caller: Caller) -> None:
    for path in (f"/v1/reports?api_key={caller.secret}", f"/v1/reports?access_token={caller.secret}"):
        assert httpx.get(f"{server.url}{path}", timeout=20).status_code == 401
    with_user = server.url.replace("://", f"://{caller.secret}@")
    assert httpx.get(f"{with_user}/v1/reports", timeout=20).status_code == 401


def test_a_process_that_knows_a_key_forgets_it_a_second_after_it_is_revoked_elsewhere(
    server: Server, caller: Caller
) -> None:
    made = caller.post("/v1/api-keys", {"name": "x", "scopes": ["reports:read"]}).json
    with httpx.Client(base_url=server.url, timeout=20, headers=bearer(made["api_key"])) as http:
        assert http.get("/v1/reports").status_code == 200
        revoked = caller.call("DELETE", made["links"]["self"], Authorization=f"Bearer {caller.secret}")
        assert revoked.json["status"] == "revoked"
        time.sleep(known_keys.SECONDS)
        assert http.get("/v1/reports").status_code == 401


def test_what_happens_to_keys_is_a_line_each(server: Server, caller: Caller) -> None:
    with httpx.Client(base_url=server.url, timeout=20, headers=bearer(caller.secret)) as http:
        key = http.post("/v1/api-keys", json={"name": "x", "scopes": ["reports:read"]}).json()
        http.post(key["links"]["rotate"], json={"overlap_seconds": 60})
        http.delete(key["links"]["self"])
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    events = [line for line in lines if line.get("key_id") == key["id"]]
    assert [line["event"] for line in events] == ["key created", "key rotated", "key revoked"]
    assert {line["by"] for line in events} == {f"key {caller.secret[:10]}"}
