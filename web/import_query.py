"""The query strings of imports and previews: the options of the file, when it has its turn, and how long to wait."""

import uuid

from pydantic import Field

from analytics.datasets import options
from models import transitions
from web import schemas


class FileQuery(schemas.WaitQuery):
    priority: int = Field(
        default=transitions.DEFAULT_PRIORITY, ge=0, le=schemas.LARGEST_PRIORITY, description=schemas.PRIORITY
    )
    upload: uuid.UUID | None = Field(
        default=None,
        description="Job whose file is meant, instead of a body: a preview of the last day, or an import that did not succeed",
    )


class ImportQuery(options.ImportOptions, FileQuery):
    pass


class PreviewQuery(options.PreviewOptions, FileQuery):
    wait: int | None = Field(
        default=None,
        ge=0,
        le=schemas.LONGEST_WAIT,
        description=f"Seconds to wait for the preview; {schemas.LONGEST_WAIT} unless this or `Prefer: wait=N` says otherwise",
    )


AnyQuery = ImportQuery | PreviewQuery
