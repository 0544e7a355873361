"""Imports every table, so that `Base.metadata` is complete for migrations."""

from models.alert import AlertChange, AlertRow, AlertStanding
from models.api_key import ApiKey, OldSecret
from models.base import Base
from models.dataset import DatasetVersion
from models.delivery import Delivery, DeliveryAttempt
from models.erasure import ErasureJournal
from models.heartbeat import Heartbeat
from models.idempotency import IdempotencyKey
from models.idempotent_effects import IdempotentEffect
from models.job import Job, JobEvent
from models.organisation import Organisation
from models.result import ResultChunk, StoredResult
from models.schedule import Schedule, ScheduleOccurrence
from models.tally import Tally
from models.upkeep import UpkeepRun
from models.webhook import Webhook

__all__ = [
    "AlertChange",
    "AlertRow",
    "AlertStanding",
    "ApiKey",
    "Base",
    "DatasetVersion",
    "Delivery",
    "DeliveryAttempt",
    "ErasureJournal",
    "Heartbeat",
    "IdempotencyKey",
    "IdempotentEffect",
    "Job",
    "JobEvent",
    "OldSecret",
    "Organisation",
    "ResultChunk",
    "Schedule",
    "ScheduleOccurrence",
    "StoredResult",
    "Tally",
    "UpkeepRun",
    "Webhook",
]
