"""The queue `deliveries`: sending what the outbox holds. Its messages only say that there may be something."""

from workers.celery import app
from workers.deliveries import sending


@app.task(name="deliveries.send")
def send() -> None:
    """Send everything that is due, many at once, until nothing is."""
    sending.send_due()
