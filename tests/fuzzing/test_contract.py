"""What the contract allows is answered as the contract says, and what it forbids is refused: asked by the thousand."""

import subprocess
import sys
from pathlib import Path

import pytest

from cli.stack import Stack
from tests.client import ROOT
from tests.fuzzing import world
from web import operations

pytestmark = pytest.mark.stack

# Of the cases that cover each schema, one in so many; and so many random ones for each operation.
SHARE = "10"
EXAMPLES = "2"


def test_every_operation_keeps_to_the_contract(stack: Stack, tmp_path: Path) -> None:
    made = world.make(stack).write(tmp_path / "world.json")
    options = ("--phases=examples,coverage,fuzzing", f"--max-examples={EXAMPLES}", "--no-shrink", "--no-color")
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzzing.run", str(made), SHARE, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
    # All but the one that the document is read from.
    assert f"Tested: {len(operations.ALL) - 1}" in done.stdout, done.stdout[-3000:]
