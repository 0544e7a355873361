"""What the README shows over HTTP is run as it stands there, one block after another, and answers as it says."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli.stack import Stack
from tests.client import ROOT

pytestmark = pytest.mark.stack

SECTION = re.compile(r"^## Over HTTP\n(.*?)^## ", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(sh|json|csv)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PLACE_OF_ID = re.compile(r"^ID=\S+", re.MULTILINE)
MEMBER = re.compile(r'"(\w+)":')


@dataclass(frozen=True, slots=True)
class Example:
    """Commands, and what the README says they answer, if it says it."""

    commands: str
    language: str | None
    answer: str


def examples() -> list[Example]:
    section = SECTION.search((ROOT / "README.md").read_text(encoding="utf-8"))
    assert section is not None
    blocks = BLOCK.findall(section[1])
    followers = [*blocks[1:], ("sh", "")]
    return [
        Example(text, None, "") if follower == "sh" else Example(text, follower, answer)
        for (language, text), (follower, answer) in zip(blocks, followers, strict=True)
        if language == "sh"
    ]


@dataclass(slots=True)
class Shell:
    """A person at a terminal in a checkout whose stack is running."""

    folder: Path
    url: str
    exports: str = ""
    last_id: str = ""

    def run(self, commands: str) -> str:
        """Run a block as it is printed, but with the stack's address, this job's id and a quiet curl."""
        commands = PLACE_OF_ID.sub(f"ID={self.last_id}", commands).replace("localhost:8000", self.url.split("//")[1])
        self.exports += "".join(f"{line}\n" for line in commands.splitlines() if line.startswith(("export ", "ID=")))
        script = f'set -eu\ncurl() {{ command curl --silent --show-error "$@"; }}\n{self.exports}\n{commands}'
        environment = {name: value for name, value in os.environ.items() if name not in {"KEY", "ID"}}
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, (commands, done.stderr)
        return done.stdout


@pytest.fixture(scope="module")
def shell(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "var").symlink_to(stack.home)
    (folder / ".venv").symlink_to(Path(sys.prefix))
    return Shell(folder, stack.web_url)


def members(value: Any) -> set[str]:
    """Return the names of all members, at any depth."""
    if isinstance(value, dict):
        return set(value) | {name for one in value.values() for name in members(one)}
    if isinstance(value, list):
        return {name for one in value for name in members(one)}
    return set()


def test_every_example_answers_as_it_says(shell: Shell) -> None:
    shown = examples()
    assert sum(example.language is not None for example in shown) >= 4
    for example in shown:
        said = shell.run(example.commands)
        if example.language == "json":
            answer = json.loads(said)
            assert set(MEMBER.findall(example.answer)) <= members(answer), answer
            assert answer.get("status") == json.loads(re.search(r'"status": ("?\w+"?)', example.answer)[1])  # type: ignore[index]
            shell.last_id = answer.get("id", shell.last_id)
        elif example.language == "csv":
            assert said.splitlines()[0] == example.answer.splitlines()[0]
