"""Takes the file of an earlier job instead of one that is sent."""

import uuid

import flask

from models.job import Job
from models.job_states import JobKind
from web import errors, job_views, problem_types, problems, uploads
from workers import rerun

POINTER = "#/query/upload"


def find(job_id: uuid.UUID) -> Job:
    """Return the job whose file is meant.

    Raises:
        problems.Problem: there is no such job, it has no file, or a body was sent as well.
    """
    if flask.request.content_length or "chunked" in flask.request.headers.get("Transfer-Encoding", ""):
        detail = "Send a file or name the job that has it, not both."
        raise problems.refused(problems.FieldError(POINTER, "two-files", detail))
    job = job_views.find(str(job_id), None)
    if job.kind not in (JobKind.PREVIEW, JobKind.IMPORT):
        detail = f"The job is of kind {job.kind}; only previews and imports have files."
        raise problems.refused(problems.FieldError(POINTER, "no-file", detail))
    return job


def described(job: Job) -> uploads.Upload:
    """Return what is known of the job's file."""
    return uploads.Upload(**(job.upload or {}))


def take(job: Job, new_id: uuid.UUID) -> None:
    """Give the job's file to another job as well.

    Raises:
        problems.Problem: it is not kept any more, or there is no room.
    """
    uploads.discard(new_id)
    try:
        rerun.give_second_name(job.id, new_id)
    except FileNotFoundError as error:
        detail = f"The file of this {job.kind} is not kept any more; send it again."
        raise problems.Problem(problem_types.UPLOAD_GONE, detail, facts={"job_status": job.status}) from error
    except OSError as error:
        if errors.is_storage_full(error):
            raise problems.Problem(problem_types.STORAGE_FULL, "The disk is full; nothing was kept.") from error
        raise
