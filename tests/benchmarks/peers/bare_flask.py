"""The least that a web application with Celery can do: one Flask view that calls `.delay()` and answers 202."""

import uuid
from pathlib import Path

import flask
from celery import Celery

from tests.benchmarks.peers import processes


def create_app() -> flask.Flask:
    app = flask.Flask(__name__)
    celery = Celery("bare", broker=processes.settings_of(Path.cwd()).broker_url, set_as_current=False)
    celery.conf.update(task_ignore_result=True, task_default_queue="bare")
    nothing = celery.task(_nothing, name="bare.nothing")

    @app.post("/v1/reports")
    def submit() -> tuple[dict[str, str], int]:
        job_id = str(uuid.uuid4())
        nothing.delay(job_id)
        return {"id": job_id, "status": "queued"}, 202

    @app.get("/v1/reports/<job_id>")
    def show(job_id: str) -> dict[str, str]:
        return {"id": job_id, "status": "queued"}

    return app


def _nothing(_job_id: str) -> None:
    """What would be done; no worker runs."""
