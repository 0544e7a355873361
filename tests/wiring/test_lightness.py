"""What the web process loads must stay light: it starts in about a second and stays under 100 MB."""

import subprocess
import sys

import pytest

HEAVY = {"pandas", "duckdb", "ibis", "scipy", "pyarrow", "deltalake", "altair", "numpy"}


@pytest.mark.parametrize(
    "module", ["web.app", "tasks.reports", "tasks.imports", "models.tables", "analytics.catalogue.registry"]
)
def test_importing_it_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(','.join(sorted(set(sys.modules) & {HEAVY!r})))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert loaded.stdout.strip() == ""
