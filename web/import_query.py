"""The query string of an import: the options of the file, and how long to wait."""

from analytics.datasets import options
from web import schemas


class ImportQuery(options.ImportOptions, schemas.WaitQuery):
    pass
