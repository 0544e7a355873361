"""A service whose database belongs to an ordinary user, as a process of its own: it migrates and says what is there.

Run as `python -m tests.integration.ordinary_owner` with `look` and `go_back`, in any order; the settings come from the environment.
"""

import json
import sys

import sqlalchemy as sa
from alembic import command

from models import migrate, row_access, session
from models.job import Job
from tests.integration import web_api
from web import app
from workers.doctor import of_postgresql
from workers.doctor.finding import Verdict

OBJECTS = sa.text(
    "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname NOT LIKE 'alembic_version%' "
    "UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
)


def look() -> dict[str, object]:
    """Let one organisation have a job, and count the jobs that a request of another is shown without any filter."""
    migrate.upgrade()
    http = app.create_app().test_client()
    owner, stranger = web_api.new_caller(http), web_api.new_caller(http)
    web_api.give_dataset(owner)
    with row_access.of_one_organisation(stranger.organisation_id), session.transaction() as db:
        seen = db.scalar(sa.select(sa.func.count()).select_from(Job))
    return {
        "own": len(owner.get("/v1/jobs").json["data"]),
        "others": len(stranger.get("/v1/jobs").json["data"]),
        "others_without_a_filter": seen,
        "warnings": [found.subject for found in of_postgresql.examine() if found.verdict is Verdict.WARNING],
    }


def go_back() -> dict[str, object]:
    """Take back every migration, and apply them again."""
    migrate.upgrade()
    with session.engine().begin() as connection:
        alembic = migrate.config()
        alembic.attributes["connection"] = connection
        command.downgrade(alembic, "base")
        left = connection.scalars(OBJECTS).all()
    migrate.upgrade()
    with session.engine().begin() as connection:
        at, newest = migrate.versions(connection)
    return {"left": left, "at_newest": at == newest}


if __name__ == "__main__":
    said = [{"look": look, "go_back": go_back}[what]() for what in sys.argv[1:]]
    sys.stdout.write(json.dumps(said))
    session.dispose()
