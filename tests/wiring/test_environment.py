"""The environment is read in one file, and the README lists what is read there."""

import ast
from pathlib import Path

from models.settings import Settings

ROOT = Path(__file__).parents[2]
CODE = ("analytics", "cli", "models", "tasks", "web", "workers", "celeryconfig.py")
# The supervisor hands its own environment on to the processes it starts; it takes no setting from it.
HANDS_ON = {"cli/child_environment.py"}


def _python_files() -> list[Path]:
    files: list[Path] = []
    for name in CODE:
        path = ROOT / name
        files += [path] if path.is_file() else sorted(path.rglob("*.py"))
    return files


def _reads_environment(path: Path) -> bool:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"os.environ", "os.getenv", "os.environb"}:
            return True
    return False


def test_only_settings_reads_the_environment() -> None:
    readers = {str(path.relative_to(ROOT)) for path in _python_files() if _reads_environment(path)}
    assert readers - HANDS_ON == set()


def test_the_readme_lists_every_variable() -> None:
    readme = (ROOT / "README.md").read_text()
    missing = [name.upper() for name in Settings.model_fields if f"`{name.upper()}`" not in readme]
    assert missing == []
