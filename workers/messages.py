"""Messages as workers read them: one that is not a task's is thrown away, and does not end the worker."""

from typing import Any

from celery.exceptions import InvalidTaskError
from celery.worker import request


class Request(request.Request):
    """Celery's, but for a message whose body is not `[args, kwargs, embed]`.

    Celery lets that error end the worker's main process. The message goes back to the queue, to end the next worker.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        try:
            super().__init__(*args, **kwargs)
        except (TypeError, ValueError) as error:
            raise InvalidTaskError(f"the body is not a task's: {type(error).__name__}") from error
