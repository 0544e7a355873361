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


# What only workers, or the process that makes the pages, are made of.
FOR_OTHERS = {"celery.worker", "psutil", "workers.heart", "workers.doctor", "web.openapi", "web.operations"}


def test_the_web_process_loads_nothing_that_is_for_others() -> None:
    code = (
        "import sys; from web import app; from workers import celery; app.create_app(); celery.app.amqp.router;"
        f"print(','.join(sorted(set(sys.modules) & {FOR_OTHERS!r})))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert loaded.stdout.strip() == ""


@pytest.mark.parametrize("command", ["import_file", "report", "schedules", "datasets", "customers", "diff"])
def test_commands_that_speak_http_load_no_database(command: str) -> None:
    code = (
        f"import sys, cli.{command}; print(','.join(sorted(set(sys.modules) & {{'sqlalchemy', 'psycopg', 'celery'}})))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert loaded.stdout.strip() == ""
