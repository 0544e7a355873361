"""Messages and remote commands that no process of the stack has sent: by a Celery application of the test's own."""

import functools
import json
from collections.abc import Sequence
from typing import Any

import celery
from kombu import Exchange, Queue

from tests.chaos.harness import looks
from tests.chaos.harness.running import ChaosStack
from workers import routing

QUEUES = ("reports", "imports", "heavy", "upkeep")


class Forger:
    """Puts messages into the lists of a stack's Redis just as the product would, and speaks to its workers."""

    def __init__(self, stack: ChaosStack) -> None:
        self._stack = stack

    @functools.cached_property
    def app(self) -> celery.Celery:
        made = celery.Celery(
            "forger", broker=f"redis+socket://{self._stack.redis_socket}?virtual_host=0", set_as_current=False
        )
        made.conf.broker_transport_options = {"priority_steps": [0, 9]}
        made.conf.task_queues = [Queue(name, Exchange(name, type="direct"), routing_key=name) for name in QUEUES]
        made.conf.task_create_missing_queues = False
        return made

    def send(self, job_id: str, *, kind: str = "probe", queue: str = "reports", express: bool = False) -> None:
        """Send one more message of a job, whether or not there is such a job."""
        self.app.send_task(
            routing.task_of(kind),
            args=[job_id],
            task_id=job_id,
            queue=queue,
            priority=routing.EXPRESS_PRIORITY if express else routing.ORDINARY_PRIORITY,
            ignore_result=True,
        )

    def cancel_consumer(self, worker: str, queue: str) -> bool:
        """Tell a worker to stop consuming a queue; the answer is whether it said that it has."""
        replies: Sequence[dict[str, Any]] = self.app.control.cancel_consumer(
            queue, destination=[worker], reply=True, timeout=5
        )
        return any("ok" in said for reply in replies or () for said in reply.values())

    def left(self) -> int:
        """Return how many messages of jobs Redis still has, waiting or in the hands of workers."""
        with self._stack.redis() as connection:
            texts = [
                text for queue in QUEUES[:3] for key in looks.list_keys(queue) for text in connection.lrange(key, 0, -1)
            ]
            taken = [json.loads(text)[0] for text in connection.hvals(looks.UNACKED)]
        return len(texts) + sum(not str(one["headers"]["task"]).startswith("upkeep.") for one in taken)
