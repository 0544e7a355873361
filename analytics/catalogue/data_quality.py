"""What `data_quality` is: what a careful person would look for in a dataset before trusting its numbers."""

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from analytics.catalogue import columns, parameters, report_type
from analytics.datasets import schemas


class DataQualityParams(parameters.ReportParams):
    """Parameters of `data_quality`."""

    datasets: tuple[str, ...] = Field(
        (), max_length=len(schemas.DATASETS), description="Which datasets are looked at. Default: all there are."
    )

    @field_validator("datasets")
    @classmethod
    def _datasets_exist(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in schemas.DATASETS:
                known = ", ".join(schemas.DATASETS)
                raise PydanticCustomError(
                    "dataset", "There is no dataset '{name}'; {known}", {"name": name, "known": known}
                )
        if len(set(names)) != len(names):
            raise PydanticCustomError("dataset_repeated", "Name each dataset once")
        return names

    @field_validator("segment_by")
    @classmethod
    def _no_segments(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if names:
            raise PydanticCustomError("segment_by", "data_quality looks at whole datasets; use `filter`")
        return names


def _needs(params: DataQualityParams) -> report_type.Needs:
    # What is looked at has to be there; the others tell whether a reference leads anywhere.
    return report_type.Needs(tuple((name,) for name in params.datasets), tuple(schemas.DATASETS))


TYPE = report_type.ReportType(
    name="data_quality",
    title="Data quality",
    version=1,
    definition=(
        "One row per dataset, column and check. `count` is how many rows fail (for `distinct`: how many values there are; for "
        "`gap` and `volume_drift`: how many days and months), `share` of how many it is of; `sample` names the first and the "
        "last of them by key. Facts: empty (cells without a value) and distinct. Warnings: zero and "
        "negative (of amounts, prices and quantities of sales), blurred (values that differ only in case, spaces or "
        "punctuation from another), bad_format (e-mail addresses, telephone numbers that are not in E.164, currencies that are "
        "not three letters), repeated_row (equal to an earlier one in everything but its position), gap (days "
        "without any row, where more than nine in ten days have one), volume_drift (whole months whose number of rows lies more "
        "than 3.5 scaled median deviations from the median, of at least six). Errors: orphan (a reference to a row that "
        "is not there), wrong_order (closed before it was created, converted before it came, ended on or before its start), "
        "future (after `as_of`; looked for only where `as_of` is given), missing (a required value is empty). A check that "
        "finds nothing has a row with count 0, so that it is known to have been made. score = 100 x (1 - the mean share of the "
        "checks that are no facts, errors counting three times), for each dataset and, weighted by rows, for all."
    ),
    source=(
        "The dimensions of ISO/IEC 25012 (completeness, consistency, accuracy, currentness); modified z-scores and their bound "
        "of 3.5 after B. Iglewicz and D. Hoaglin, How to Detect and Handle Outliers (ASQC, 1993); the score is Reckoner's own."
    ),
    params=DataQualityParams,
    columns=(
        columns.Column("dataset", columns.ColumnType.TEXT, "Which dataset", key=True),
        columns.Column("column", columns.ColumnType.TEXT, "Which column; empty: the rows as such", key=True),
        columns.Column("check", columns.ColumnType.TEXT, "What was looked for", key=True),
        columns.Column("severity", columns.ColumnType.TEXT, "fact, warning or error"),
        columns.Column("count", columns.ColumnType.INTEGER, "How many were found", "rows"),
        columns.Column("share", columns.ColumnType.NUMBER, "Of how many that is; null of none", "ratio"),
        columns.Column("sample", columns.ColumnType.TEXT, "The first and the last that were found, by key"),
    ),
    datasets=((*schemas.DATASETS,),),
    optional_datasets=(),
    needs_of=_needs,
)
