"""What the tests use of the whole system: its HTTP API, its command line, and a look into its database."""

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
import psycopg

from cli.stack import Stack

ROOT = Path(__file__).parents[1]
FINAL = {"succeeded", "failed", "cancelled"}

Json = dict[str, Any]
T = TypeVar("T")


def reckoner(stack: Stack, *arguments: str, key: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line against a stack, as a person would."""
    environment = {**os.environ, "RECKONER_HOME": str(stack.home)}
    if key is not None:
        environment["RECKONER_API_KEY"] = key
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def database(stack: Stack) -> psycopg.Connection[tuple[Any, ...]]:
    """Open the stack's database, to see what a client cannot."""
    return psycopg.connect(
        dbname="reckoner", user="reckoner", host=str(_socket_folder(stack)), autocommit=True, connect_timeout=5
    )


def _socket_folder(stack: Stack) -> Path:
    from models.settings import Settings  # noqa: PLC0415 - the settings of that stack, not of this process

    return Settings(reckoner_home=stack.home, database_url=None).socket_folder


def wait_for(what: Callable[[], T | None], *, seconds: float, pause: float = 0.05) -> T:
    """Ask until there is an answer that is true, and return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = what()
        if answer:
            return answer
        time.sleep(pause)
    raise AssertionError(f"not within {seconds} s")


class Client:
    """One organisation's program."""

    def __init__(self, stack: Stack, key: str) -> None:
        self.stack = stack
        self.key = key
        self.http = httpx.Client(
            base_url=stack.web_url, headers={"Authorization": f"Bearer {key}"}, timeout=60, trust_env=False
        )

    @classmethod
    def of_new_organisation(cls, stack: Stack) -> Self:
        name = f"test {secrets.token_hex(6)}"
        made = reckoner(stack, "keys", "create", "--org", name, "--json")
        assert made.returncode == 0, made.stderr
        return cls(stack, json.loads(made.stdout)["api_key"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def post_import(self, dataset: str, content: bytes | Path, **params: Any) -> httpx.Response:
        body = content.read_bytes() if isinstance(content, Path) else content
        query = {name: json.dumps(value) if isinstance(value, Mapping) else value for name, value in params.items()}
        return self.http.post("/v1/imports", params={"dataset": dataset, **query}, content=body)

    def import_(self, dataset: str, content: bytes | Path, **params: Any) -> Json:
        """Import and wait for the end, whatever it is."""
        answer = self.post_import(dataset, content, **params)
        assert answer.status_code == 202, answer.text
        return self.finish(answer.json())

    def submit(self, report_type: str, **params: Any) -> Json:
        """Ask for a report that is computed anew, whatever there is already."""
        answer = self.http.post("/v1/reports", json={"type": report_type, "params": params, "max_age": 0})
        assert answer.status_code == 202, answer.text
        job: Json = answer.json()
        return job

    def finish(self, job: Json, *, seconds: float = 120) -> Json:
        """Follow a job to its end. What restarts meanwhile is waited for, as a patient program would."""

        def look() -> Json | None:
            try:
                answer = self.http.get(job["links"]["self"])
            except httpx.TransportError:
                return None
            if answer.status_code == 503:
                return None
            assert answer.status_code == 200, answer.text
            found: Json = answer.json()
            return found if found["status"] in FINAL else None

        return wait_for(look, seconds=seconds)

    def report(self, report_type: str, **params: Any) -> Json:
        """Run a report to its success and return the result."""
        job = self.finish(self.submit(report_type, **params))
        assert job["status"] == "succeeded", job
        return self.result(job)

    def result(self, job: Json) -> Json:
        answer = self.http.get(job["links"]["result"], params={"format": "json"})
        assert answer.status_code == 200, answer.text
        result: Json = answer.json()
        return result


def as_dicts(result: Json) -> list[Json]:
    """A result's rows by column name."""
    names = [column["name"] for column in result["columns"]]
    return [dict(zip(names, row, strict=True)) for row in result["rows"]]
