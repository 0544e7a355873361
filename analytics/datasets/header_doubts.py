"""What somebody who imports a file should know of how its headers were understood."""

from collections.abc import Iterator

from analytics import result
from analytics.datasets import cleaning, headers, schemas

UNIVERSAL = ("UTC", "Etc/UTC", "Etc/GMT", "GMT", "Etc/Universal")


def find(reading: cleaning.Reading) -> Iterator[result.ResultWarning]:
    """Yield what the headers say against how the file is read."""
    yield from _zones(reading)
    yield from _customers_by_email(reading)


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
