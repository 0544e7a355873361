"""What Celery accepts without a word when it is misspelt: settings, options, queues, names, limits."""

import importlib
import re
import shlex
from pathlib import Path

import pytest
from celery import Celery, Task
from celery.app import defaults

import celeryconfig
from models.job_states import JobKind
from workers import routing, runtime
from workers.celery import app

ROOT = Path(__file__).parents[2]
OWN_QUEUES = {queue.name for queue in celeryconfig.task_queues}

# Attributes Celery itself, or our base class, sets on a task's class.
SET_BY_CELERY = {"run", "_decorated", "_decorated_fun", "store_eager_result"}


@pytest.fixture(scope="module")
def loaded_app() -> Celery:
    app.loader.import_default_modules()
    return app


@pytest.fixture(scope="module")
def own_tasks(loaded_app: Celery) -> dict[str, Task]:
    return {name: task for name, task in loaded_app.tasks.items() if not name.startswith("celery.")}


def test_every_key_is_a_setting_of_celery() -> None:
    known = (
        set(defaults.flatten(defaults.NAMESPACES)) if not hasattr(defaults, "SETTING_KEYS") else defaults.SETTING_KEYS
    )
    keys = {name for name in vars(celeryconfig) if not name.startswith("_") and name.islower()}
    modules = {"settings", "timedelta"}
    assert keys - modules - set(known) == set()
    assert len(keys) > 30


def test_task_files_are_all_imported_and_named_after_their_queue(own_tasks: dict[str, Task]) -> None:
    files = {path.stem for path in (ROOT / "tasks").glob("*.py")} - {"__init__"}
    assert {f"tasks.{name}" for name in files} == set(celeryconfig.imports)
    assert files | {routing.HEAVY} == OWN_QUEUES
    for name, task in own_tasks.items():
        assert task.__module__ == f"tasks.{name.partition('.')[0]}"


def test_every_task_goes_to_the_queue_of_its_file(loaded_app: Celery, own_tasks: dict[str, Task]) -> None:
    for name in own_tasks:
        queue = loaded_app.amqp.router.route({}, name)["queue"]
        assert queue.name == name.partition(".")[0]


def test_every_option_of_a_task_is_known(own_tasks: dict[str, Task]) -> None:
    known = {name for base in Task.__mro__ for name in vars(base)} | SET_BY_CELERY
    for name, task in own_tasks.items():
        own = {key for key in vars(type(task)) if not key.startswith("__")}
        assert own - known == set(), name


def test_beat_asks_for_tasks_that_exist(own_tasks: dict[str, Task]) -> None:
    asked = {entry["task"] for entry in celeryconfig.beat_schedule.values()}
    assert asked <= set(own_tasks)
    assert asked >= {name for name in own_tasks if name.startswith("upkeep.")}
    assert "deliveries.send" in asked


def test_every_kind_of_job_has_its_task(own_tasks: dict[str, Task]) -> None:
    assert {routing.task_of(kind) for kind in JobKind} == {
        name for name, task in own_tasks.items() if isinstance(task, runtime.JobTask)
    }
    assert {routing.queue_of_report(1), routing.queue_of_report(10**12)} == {"reports", "heavy"}
    assert {routing.queue_of_import(1), routing.queue_of_import(10**12)} == {"imports", "heavy"}


def test_procfile_serves_exactly_the_declared_queues() -> None:
    served: list[str] = []
    for line in (ROOT / "Procfile").read_text().splitlines():
        match = re.match(r"worker-[a-z]+:\s*(.*)", line)
        if match:
            words = shlex.split(match.group(1))
            served += words[words.index("-Q") + 1].split(",")
    assert sorted(served) == sorted(OWN_QUEUES)


def test_limits_are_in_order() -> None:
    visibility = celeryconfig.broker_transport_options["visibility_timeout"]
    assert celeryconfig.task_soft_time_limit < celeryconfig.task_time_limit
    assert 4 * celeryconfig.task_time_limit <= visibility
    assert celeryconfig.broker_transport_options["socket_timeout"] > 1  # kombu's BRPOP blocks for a second


def test_publishing_to_a_misspelt_queue_fails(loaded_app: Celery) -> None:
    with pytest.raises(Exception, match="repotrs"):
        loaded_app.send_task("reports.run", args=["x"], queue="repotrs")


def test_every_heavy_module_exists() -> None:
    from workers import signals  # noqa: PLC0415 - importing it at the top would hide a failure to import

    for queue, modules in signals.HEAVY_MODULES.items():
        assert queue in OWN_QUEUES
        for module in modules:
            importlib.import_module(module)
