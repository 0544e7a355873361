"""Files made to do harm are refused in bounded memory and time, each with a code of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.datasets import hostile_files

ROOT = Path(__file__).parents[3]
# Of which the interpreter and its libraries take some 150 before the first file.
MEGABYTES = 400
SECONDS = 60.0


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What became of all the files, read in one process."""
    folder = tmp_path_factory.mktemp("hostile")
    for hostile in hostile_files.ALL:
        (folder / hostile.name).write_bytes(hostile.write())
    before = {path.name for path in folder.iterdir()}
    command = [
        sys.executable,
        "-m",
        "tests.unit.datasets.hostile_child",
        *(str(folder / name) for name in sorted(before)),
    ]
    child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr
    assert {path.name for path in folder.iterdir()} == before
    return {name: found for line in child.stdout.splitlines() for name, found in json.loads(line).items()}


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's account of memory")
@pytest.mark.parametrize("hostile", hostile_files.ALL, ids=lambda hostile: hostile.name)
def test_it_ends_as_it_should_in_little_memory(
    outcomes: dict[str, dict[str, Any]], hostile: hostile_files.Hostile
) -> None:
    found = outcomes[hostile.name]
    assert found["code"] == hostile.code
    assert found["megabytes"] < MEGABYTES
    assert found["seconds"] < SECONDS


def test_what_can_be_read_of_them_is_read(outcomes: dict[str, dict[str, Any]]) -> None:
    counts = {name: (found["rows"], found["rejects"]) for name, found in outcomes.items() if found["code"] is None}
    assert counts["blank-lines"] == (1, 0)
    assert counts["short-lines"] == (1, 150_000)
    assert counts["deep-line"] == (1, 1)
    assert counts["xlsx-cells"] == (299, 0)
