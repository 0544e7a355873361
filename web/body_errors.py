"""What it means when reading a body fails: the client stalled, it went away, or it does not speak HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager

import werkzeug.exceptions
from gunicorn.http.errors import ParseException


@contextmanager
def translated() -> Iterator[None]:
    """Turn what the server and Werkzeug raise while a body is read into one of three HTTP errors.

    Werkzeug takes a read that timed out for a client that disconnected; what it really was is the error's context.

    Raises:
        werkzeug.exceptions.RequestTimeout: nothing came for too long.
        werkzeug.exceptions.ClientDisconnected: the connection ended.
        werkzeug.exceptions.BadRequest: the framing of the body is broken. The server closes the connection after the answer.
    """
    try:
        yield
    except TimeoutError as error:
        raise werkzeug.exceptions.RequestTimeout from error
    except OSError as error:
        raise werkzeug.exceptions.ClientDisconnected from error
    except ParseException as error:
        raise werkzeug.exceptions.BadRequest("The body's chunks are not framed as HTTP asks for.") from error
    except werkzeug.exceptions.ClientDisconnected as error:
        if isinstance(error.__context__, TimeoutError):
            raise werkzeug.exceptions.RequestTimeout from error
        raise
