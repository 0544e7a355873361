"""The query string of an import: the options of the file, when it has its turn, and how long to wait."""

from pydantic import Field

from analytics.datasets import options
from models import transitions
from web import schemas


class ImportQuery(options.ImportOptions, schemas.WaitQuery):
    priority: int = Field(
        default=transitions.DEFAULT_PRIORITY, ge=0, le=schemas.LARGEST_PRIORITY, description=schemas.PRIORITY
    )
