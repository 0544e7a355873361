"""Commands for whoever runs the server: they speak to PostgreSQL itself, see all organisations, and need no API key."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy.exc
from sqlalchemy.orm import Session

from cli.exit_codes import ExitCode
from cli.invocation import Failure
from models import session, settings


@contextmanager
def transaction() -> Iterator[Session]:
    """Open a transaction, or say in words that there is no database.

    Raises:
        Failure: the database does not answer, or has no schema yet.
    """
    try:
        with session.transaction() as db:
            yield db
    except sqlalchemy.exc.OperationalError as error:
        configured = settings.load()
        where = f"the stack of {configured.home}" if configured.uses_embedded_database else "the database"
        raise Failure(f"{where} does not answer; is `reckoner up` running?", ExitCode.UNREACHABLE) from error
    except sqlalchemy.exc.ProgrammingError as error:
        raise Failure("the database has no schema yet: run `python -m models.migrate`") from error
