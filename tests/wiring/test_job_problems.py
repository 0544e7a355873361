"""Every reason a job can fail with is explained: in the table of job problems, and so under `/docs/problems`."""

import ast
from pathlib import Path

from workers import job_problems

ROOT = Path(__file__).parents[2]


def _codes_of_refusals() -> set[str]:
    codes: set[str] = set()
    for folder in ("analytics", "models", "tasks", "workers"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Refusal"):
                    assert isinstance(node.args[0], ast.Constant), f"{path}: the code of a refusal is written out"
                    codes.add(str(node.args[0].value))
    return codes


def test_every_refusal_is_in_the_table() -> None:
    codes = _codes_of_refusals()
    assert len(codes) > 10
    assert codes - set(job_problems.BY_SLUG) == set()


def test_nothing_is_in_the_table_that_does_not_happen() -> None:
    of_the_run = {"timed-out", "worker-crashed", "database-unavailable", "internal-error", "unknown-work"}
    assert set(job_problems.BY_SLUG) - of_the_run == _codes_of_refusals()
