"""Downloads by the links in e-mails: what the receiver of one delivery may see, without a key, and nothing else."""

from datetime import UTC, datetime
from typing import NamedTuple

import flask
from sqlalchemy.orm import Session

from models import deliveries, jobs, session
from models.delivery import Channel, Delivery
from models.job import Job
from web import auth, formats, limits, problem_types, problems, request_context, results
from workers.deliveries import links, withdrawing
from workers.deliveries.links import Link

blueprint = flask.Blueprint("downloads", __name__, url_prefix=links.PATH)

# Whoever has the link has the figures: no cache keeps them, no page is told of it, no search engine lists it.
HEADERS = {
    "Cache-Control": "private, no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
}
PAGE = "text/html"
PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
_FORMATS = {one.name: one for one in formats.OF_RESULT}


class _Found(NamedTuple):
    delivery: Delivery
    job: Job


@blueprint.after_request
def _keep_private(response: flask.Response) -> flask.Response:
    response.headers.update(HEADERS)
    return response


@blueprint.errorhandler(problems.Problem)
def _tell(problem: problems.Problem) -> flask.Response:
    """Answer a browser with words on a page: who follows a link in an e-mail is no program. Others get the problem document."""
    answer = problems.response(problem)
    if flask.request.accept_mimetypes.best_match([problems.MEDIA_TYPE, "application/json", PAGE]) != PAGE:
        return answer
    said = {"title": problem.kind.title, "detail": problem.detail, "status": problem.kind.status}
    answer.set_data(flask.render_template("download.html", request_id=request_context.request_id(), **said))
    answer.content_type = f"{PAGE}; charset=utf-8"
    answer.headers["Content-Security-Policy"] = PAGE_POLICY
    return answer


@blueprint.get("/<token>")
def download(token: str) -> flask.Response:
    # What stands in the query is not looked at: mail programs and gateways add to addresses what they like.
    limits.refuse_guesser()
    link = links.read(token)
    if link is None:
        limits.note_wrong_key()
        raise problems.Problem(
            problem_types.NOT_FOUND, "There is no such download. Copy the whole link out of the e-mail."
        )
    limits.spend_download(link.delivery_id)
    if link.expires_at <= datetime.now(UTC):
        raise _gone(f"The link was good until {link.expires_at.day} {link.expires_at:%B %Y, %H:%M} UTC.")
    auth.open_door(link.organisation_id)
    with session.transaction() as db:
        found = _find(db, link)
    stored = results.stored_result(found.job)
    return results.answer(
        found.job, stored, _FORMATS[link.format], words=found.job.type, of_receiver=found.delivery.filter
    )


def _find(db: Session, link: Link) -> _Found:
    """Return what a link leads to, if its receiver may still have it.

    Raises:
        problems.Problem: the delivery, its report or its receiver is gone.
    """
    delivery = deliveries.find(db, link.delivery_id, organisation_id=link.organisation_id)
    if delivery is None or delivery.job_id is None or delivery.erased_at is not None:
        raise _gone("What was sent is not kept any more.")
    if delivery.channel != Channel.EMAIL or withdrawing.withdrawn(db, [delivery]):
        raise _gone("The schedule does not send this to you any more.")
    job = jobs.find(db, delivery.job_id, organisation_id=link.organisation_id)
    if job is None or job.deleted_at is not None:
        raise _gone("The report has been deleted.")
    return _Found(delivery, job)


def _gone(detail: str) -> problems.Problem:
    return problems.Problem(problem_types.DOWNLOAD_GONE, f"{detail} Ask whoever has it sent to you.")
