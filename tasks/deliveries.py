"""The queue `deliveries`: evaluating alerts, and sending what is in the outbox. A message only says that there may be some."""

from workers.celery import app
from workers.deliveries import sending
from workers.schedules import alerting


@app.task(name="deliveries.send")
def send() -> None:
    """Evaluate the alerts of every slot that has ended, then send everything that is due, many at once, until nothing is."""
    alerting.evaluate_due()
    sending.send_due()
