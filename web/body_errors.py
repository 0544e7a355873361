"""What it means when reading a body fails: the client stalled, or it went away."""

from collections.abc import Iterator
from contextlib import contextmanager

import werkzeug.exceptions


@contextmanager
def translated() -> Iterator[None]:
    """Turn what the server and Werkzeug raise while a body is read into one of two HTTP errors.

    Werkzeug takes a read that timed out for a client that disconnected; what it really was is the error's context.

    Raises:
        werkzeug.exceptions.RequestTimeout: nothing came for too long.
        werkzeug.exceptions.ClientDisconnected: the connection ended, or the framing of the body is broken.
    """
    try:
        yield
    except TimeoutError as error:
        raise werkzeug.exceptions.RequestTimeout from error
    except OSError as error:
        raise werkzeug.exceptions.ClientDisconnected from error
    except werkzeug.exceptions.ClientDisconnected as error:
        if isinstance(error.__context__, TimeoutError):
            raise werkzeug.exceptions.RequestTimeout from error
        raise
