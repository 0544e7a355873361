"""`reckoner demo`, as `make demo` runs it: on a stack of its own, with generated data and with a file."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests import generated

pytestmark = pytest.mark.stack
ROOT = Path(__file__).parents[2]


def _demo(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli.main", "demo", "--home", str(home), *arguments],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def _left_running(home: Path) -> list[str]:
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = " ".join(process.info["cmdline"] or [])
        if str(home) in words or str(home) in (process.info["cwd"] or ""):
            found.append(words)
    return found


def test_the_demo_shows_three_reports_and_leaves_nothing_running(tmp_path: Path) -> None:
    done = _demo(tmp_path, "--customers", "120", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert [job["type"] for job in summary["reports"]] == ["rfm", "cohort_retention", "revenue_trend"]
    assert {job["status"] for job in summary["reports"]} == {"succeeded"}
    for page in summary["pages"]:
        assert "<svg" in Path(page).read_text()
    assert _left_running(tmp_path) == []


def test_the_demo_takes_a_file_and_finds_out_what_it_is(tmp_path: Path) -> None:
    file = generated.orders(tmp_path, customers=80)
    done = _demo(tmp_path, "--data", str(file))
    assert done.returncode == 0, done.stderr
    assert "customer_id" in done.stdout
    assert "/docs" in done.stdout
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("a,b\n1,2\n")
    refused = _demo(tmp_path, "--data", str(wrong))
    assert refused.returncode == 2
    assert "neither" in refused.stderr
