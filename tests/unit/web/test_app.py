"""The application as a whole: light, quick, and safe by default."""

import subprocess
import sys
import time

import pytest

from web import app

HEAVY = {"pandas", "duckdb", "ibis", "scipy", "pyarrow", "deltalake", "numpy", "altair"}


def test_it_loads_nothing_heavy() -> None:
    code = f"import sys; from web import app, openapi; app.create_app(); openapi.document(); print(set(sys.modules) & {HEAVY!r})"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert loaded.stdout.strip() == "set()"


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/healthz", "/nowhere", "/v1/reports"])
def test_every_answer_has_an_id_and_is_safe_in_a_browser(path: str) -> None:
    answer = app.create_app().test_client().get(path)
    assert len(answer.headers["X-Request-Id"]) == 32
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "Server" not in answer.headers


def test_being_alive_depends_on_nothing_and_costs_nothing() -> None:
    client = app.create_app().test_client()
    assert client.get("/healthz").json == {"status": "alive"}
    began = time.perf_counter()
    for _ in range(200):
        client.get("/healthz")
    # Through the test client, which costs more than the view; the view itself takes some microseconds.
    assert (time.perf_counter() - began) / 200 < 0.02
