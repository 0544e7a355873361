"""What is known of one customer, read from the newest versions of the datasets by a process beside this one."""

import urllib.parse

import flask

from analytics.datasets import persons
from models import dataset, session
from web import auth, customer_schemas, job_object, problem_types, problems, render_child, render_pool, schemas
from workers.customer_lookup import VersionGoneError

# A version can be replaced between the look at the catalogue and the reading; not again and again, unless by an erasure.
ATTEMPTS = 3
RETRY_AFTER = "5"


def show(customer_id: str, *, most_rows: int) -> flask.Response:
    """Answer with everything known of a customer.

    Raises:
        problems.Problem: nothing is known of them, or the data are being rewritten at this moment.
    """
    found = _look(customer_id, most_rows)
    if not any(one.rows for one in found):
        raise problems.Problem(problem_types.NOT_FOUND, "No dataset knows a customer with this id.")
    known = next((one.data[0] for one in found if one.dataset == "customers" and one.data), None)
    here = f"/v1/customers/{urllib.parse.quote(customer_id, safe='')}"
    response = job_object.as_json(
        customer_schemas.CustomerObject(
            id=customer_id, customer=known, datasets=found, links=schemas.SelfLink(self=here)
        )
    )
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _look(customer_id: str, most_rows: int) -> list[customer_schemas.CustomerDataset]:
    for _ in range(ATTEMPTS):
        versions = _versions()
        try:
            found = render_pool.lookup_pool().run(
                render_child.look_at_customer, str(auth.caller().organisation_id), versions, customer_id, most_rows
            )
        except VersionGoneError:
            continue
        return [customer_schemas.CustomerDataset(version=versions[one["dataset"]], **one) for one in found]
    raise problems.Problem(
        problem_types.NOT_READY,
        "The data are being rewritten, by an erasure for instance. Try again in a few seconds.",
        headers={"Retry-After": RETRY_AFTER},
    )


def _versions() -> dict[str, int]:
    with session.transaction() as db:
        newest = dataset.current_sizes(db, auth.caller().organisation_id)
    return {name: newest[name].version for name in persons.TRACES if name in newest}
