"""Every kind of problem a job can fail with, said once: the worker takes the title from here, `/docs/problems` the remedy."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JobProblem:
    """A kind of problem: its stable slug, a title, and what to do about it."""

    slug: str
    title: str
    remedy: str


_ALL = (
    # The file as such.
    JobProblem("not-csv", "The file is not a table of text", "Export the data as CSV in UTF-8 and send that."),
    JobProblem(
        "empty-file", "The file has no rows", "Check the export: there is nothing below the headers, or nothing at all."
    ),
    JobProblem("unsupported-format", "This format is not read", "Send one of the formats that the detail names."),
    JobProblem("truncated-file", "The file ends too early", "The compressed file is cut off. Export or send it again."),
    JobProblem("damaged-file", "The compressed file is damaged", "It cannot be unpacked. Compress or export it again."),
    JobProblem("bomb", "The file unpacks to too much", "Send it in parts, or uncompressed."),
    JobProblem(
        "several-members",
        "The zip file has several files in it",
        "Send one of the files that the problem lists, by itself or in a zip of its own.",
    ),
    JobProblem(
        "format-mismatch",
        "The file is not of the declared format",
        "Leave `format` out, or name the format the file has.",
    ),
    JobProblem(
        "not-json",
        "The file is not JSON that a table can be made of",
        "Send an array of objects, an object that has one such array, or an object on each line (NDJSON).",
    ),
    JobProblem(
        "ambiguous-list",
        "The JSON has several lists of objects",
        "Send only the list that is meant: an array, or an object with one array.",
    ),
    JobProblem("unknown-sheet", "There is no such sheet", "Give `sheet` the name of one that the problem lists."),
    JobProblem(
        "unsafe-workbook",
        "The workbook has what no spreadsheet program writes",
        "Open it in a spreadsheet program and save it anew as XLSX, or save the sheet as CSV.",
    ),
    JobProblem(
        "workbook-too-large",
        "The workbook has too much text",
        "Save the sheet as CSV, which has no limit, and send that.",
    ),
    JobProblem(
        "binary-column",
        "A column has bytes that are not text",
        "Write the file without the column, or with its values as text.",
    ),
    JobProblem(
        "unsupported-column", "A column has a type that is not read", "Write the column as text, or leave it out."
    ),
    # Its columns.
    JobProblem("too-many-columns", "The file has too many columns", "Leave out the columns that nobody asks for."),
    JobProblem("header-too-long", "The name of a column is too long", "Give the column a shorter name."),
    JobProblem(
        "missing-columns",
        "Columns are missing",
        "Say with `mapping` which header is which column, or choose another dataset.",
    ),
    JobProblem(
        "unknown-header",
        "The mapping names a header that is not there",
        "Use a header of the file; the problem lists them.",
    ),
    JobProblem(
        "ambiguous-header",
        "A header could be meant twice",
        "Say with `mapping` which one is meant, by header or by place (`#3` is the third column), or null for none.",
    ),
    # Its values.
    JobProblem(
        "ambiguous-date-order",
        "Day and month could be either way round",
        "Send `date_format`: DMY, MDY, YMD, or a whole pattern.",
    ),
    JobProblem(
        "ambiguous-decimal-sign", "Point and comma could be either", "Send `decimal`: the sign before the fraction."
    ),
    JobProblem(
        "ambiguous-currency",
        "A sign names more than one currency",
        "Send `currency`: what amounts are in that name no other one.",
    ),
    JobProblem("bad-refund-pattern", "The refund pattern is not a regular expression", "Write it in RE2's syntax."),
    JobProblem(
        "too-many-rejects",
        "Too many rows are bad",
        "Mend the rows that the problem shows, or raise `max_rejects`. Nothing was written.",
    ),
    # The question.
    JobProblem(
        "missing-dataset", "The report needs data that are not there", "Import the dataset that the detail names."
    ),
    JobProblem(
        "unknown-column",
        "There is no such column",
        "Use a column of the dataset; `GET /v1/datasets/{name}` lists them.",
    ),
    JobProblem(
        "filter-type", "The filter compares things that cannot be compared", "Give a value of the column's type."
    ),
    JobProblem(
        "measure-type",
        "A measure does not suit its column",
        "Sums, means and percentiles need numbers; a grain needs a date or time.",
    ),
    JobProblem("too-many-rows", "The answer would have too many rows", "Choose a longer period or fewer segments."),
    JobProblem(
        "too-many-cells",
        "The answer would have too many cells",
        "Choose a longer period, fewer segments, or `periods`.",
    ),
    JobProblem(
        "too-many-periods",
        "The span has too many periods",
        "Choose a longer period, or bound the span with `start` and `end`.",
    ),
    JobProblem(
        "too-few-repeat-customers",
        "Too few customers came back",
        "Choose more data, or a later `calibration_end`: the model learns from customers who bought on two days.",
    ),
    JobProblem(
        "lifetime-columns",
        "It is not said how long customers stay",
        "Give `duration` and `event`, or `started` and `ended`, or read subscriptions.",
    ),
    JobProblem(
        "event-values",
        "It is not clear which values mean leaving",
        "Say with `event_values` which values of the column mean that somebody left.",
    ),
    JobProblem(
        "result-too-large",
        "The result has too many rows",
        "Ask for fewer: filter, group by less, or leave out what lists every customer or item. Whoever runs the server sets "
        "`MAX_RESULT_ROWS`.",
    ),
    JobProblem("too-many-groups", "There are too many groups", "Group by a column with fewer values, or filter."),
    JobProblem(
        "too-many-itemsets",
        "Too many sets of items are frequent",
        "Raise `min_support`, lower `max_length`, or filter; the detail says how many there are.",
    ),
    JobProblem(
        "dataset-version-gone",
        "The pinned version is no longer kept",
        "Submit the report again, on the current version.",
    ),
    # The erasure.
    JobProblem(
        "erasure-overtaken",
        "Imports kept bringing the customer back",
        "Take the customer out of what your systems send, wait for the imports that run, and ask for the erasure again.",
    ),
    # The run.
    JobProblem("timed-out", "The job ran too long", "Narrow it with `start`, `end` or a filter."),
    JobProblem(
        "worker-crashed",
        "The job ended its worker process several times",
        "It may need more memory than there is. Narrow it, or give workers more.",
    ),
    JobProblem(
        "database-unavailable", "The database did not answer", "Nothing; it is tried again by itself, some times."
    ),
    JobProblem(
        "unknown-work",
        "The workers are older than the job",
        "Nothing; it runs as soon as a worker of the newer version takes it.",
    ),
    JobProblem(
        "internal-error",
        "Something went wrong in the worker",
        "Report it with the job's id; the worker's log has the rest.",
    ),
)

BY_SLUG = {problem.slug: problem for problem in _ALL}


def database_away() -> dict[str, str]:
    """Describe to a job's owner that the database was in its way."""
    problem = BY_SLUG["database-unavailable"]
    detail = "The database could not be reached or was too busy. The job is tried again by itself."
    return {"type": problem.slug, "title": problem.title, "detail": detail}
