"""What somebody who imports a file should know of how its headers were understood."""

from collections.abc import Iterator

from analytics import result
from analytics.datasets import cleaning, headers, schemas

UNIVERSAL = ("UTC", "Etc/UTC", "Etc/GMT", "GMT", "Etc/Universal")


def find(reading: cleaning.Reading) -> Iterator[result.ResultWarning]:
    """Yield what the headers say against how the file is read."""
    yield from _zones(reading)
    yield from _customers_by_email(reading)
    yield from _duplicates(reading.mapping)


def _zones(reading: cleaning.Reading) -> Iterator[result.ResultWarning]:
    """A header such as `Created (UTC)` names a zone that its values do not repeat."""
    zone = reading.options.timezone
    if zone in UNIVERSAL:
        return
    for name, header in reading.mapping.canonical.items():
        column, plan = reading.schema.column(name), reading.dates.get(name)
        if column is None or column.kind is not schemas.ColumnKind.TIMESTAMP or plan is None or not plan.naive:
            continue
        if not plan.epoch and headers.normalise(header).endswith(("utc", "gmt")):
            yield result.ResultWarning(
                "zone-in-header",
                f"The header {header!r} says UTC, but its times name no zone and are read in {zone or 'UTC'}. Give timezone=UTC.",
            )


def _customers_by_email(reading: cleaning.Reading) -> Iterator[result.ResultWarning]:
    header = reading.mapping.canonical.get("customer_id")
    if reading.schema.name != "customers" and header is not None and "email" in headers.normalise(header):
        yield result.ResultWarning(
            "customers-by-email",
            f"Customers are named by the e-mail addresses of {header!r}. Import the customers with customer_id mapped to their "
            "e-mail address as well, so that both agree.",
        )


def _duplicates(mapping: headers.HeaderMapping) -> Iterator[result.ResultWarning]:
    """Columns with the same header are kept apart by a number, which nobody chose."""
    names: dict[str, list[str]] = {}
    for header, name in zip(mapping.headers, mapping.names, strict=True):
        names.setdefault(header, []).append(name)
    for header, alike in names.items():
        if len(alike) > 1 and header:
            yield result.ResultWarning(
                "duplicate-header",
                f"The file has {len(alike)} columns {header!r}; they are kept as {', '.join(alike[:20])}.",
            )
