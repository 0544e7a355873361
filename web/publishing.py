"""Hands an accepted job to the broker. Called after the commit, and by then nothing here can undo or delay the answer."""

from models.job import Job
from workers import publisher


def publish(job: Job) -> None:
    """Publish a committed job in the background; what the broker does not take, the rescue sweep publishes later."""
    publisher.publisher().put(publisher.Lane(job.organisation_id, job.queue))
