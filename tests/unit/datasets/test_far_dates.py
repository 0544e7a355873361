"""Dates that no calendar can reckon with are rejects, whichever way a row goes and whatever zone it is in."""

import datetime as dt

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analytics.datasets import remarks
from tests.unit.datasets.conftest import Importer

HEADER = "lead_id,created_at\n"
KNOWN = remarks.Known(dt.date(2026, 1, 1))
# Rows enough for those like them to be typed as they are read.
PLAIN = "".join(f"p{number},2024-01-01{{time}}\n" for number in range(40))


@pytest.mark.parametrize("date_format", [None, "%Y-%m-%d %H:%M:%S"])
@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin", "UTC"])
@pytest.mark.parametrize(
    "moment", ["9999-12-31 23:59:59", "0001-01-01 00:00:00", "3000-01-01 12:00:00", "0999-12-30 00:00:00"]
)
def test_a_moment_outside_of_the_calendar_is_a_reject(
    importer: Importer, moment: str, zone: str, date_format: str | None
) -> None:
    rows = PLAIN.format(time=" 10:00:00") + f"t2,{moment}\n"
    found = importer(HEADER + rows, dataset="leads", timezone=zone, date_format=date_format, known=KNOWN)
    (reject,) = found.rejects
    # A pattern of one's own asks for years of four digits, of which those before 1000 are none.
    early = moment < "1000" and found.staged.reading.dates["created_at"].formats != ()
    assert (reject["line"], reject["column"], reject["value"]) == (42, "created_at", moment)
    assert reject["code"] == ("bad-timestamp" if early else "out-of-range")
    assert found.counts == (41, 40, 0, 0, 1)


def test_the_bounds_are_those_of_the_moment_in_utc(importer: Importer) -> None:
    moments = ("2999-12-31T18:59:59", "2999-12-31T19:00:00", "0999-12-31T20:00:00", "2999-12-31T23:59:59.999999Z")
    rows = "".join(f"t{number},{moment}\n" for number, moment in enumerate(moments))
    found = importer(HEADER + rows, dataset="leads", timezone="America/New_York", known=KNOWN)
    assert [(reject["line"], reject["code"]) for reject in found.rejects] == [(3, "out-of-range")]
    assert [row["lead_id"] for row in found.rows] == ["t0", "t2", "t3"]


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01", "3000-01-01", "0999-12-31"])
def test_a_day_outside_of_the_calendar_is_a_reject_and_may_mean_none(importer: Importer, day: str) -> None:
    header = "subscription_id,started_on,ended_on,customer_id,mrr\n"
    rows = "".join(f"s{number},2024-01-01,2024-02-01,a,1\n" for number in range(40)) + f"t2,2024-01-01,{day},a,1\n"
    found = importer(header + rows, dataset="subscriptions", known=KNOWN)
    (reject,) = found.rejects
    assert (reject["line"], reject["column"], reject["code"]) == (42, "ended_on", "out-of-range")
    found = importer(header + rows, dataset="subscriptions", null_values=(day,))
    assert found.counts == (41, 41, 0, 0, 0)
    assert [row["ended_on"] for row in found.rows if row["subscription_id"] == "t2"] == [None]


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+05:00", "9999-12-31", "9999-12-31T23:59:59-05:00"])
def test_a_further_column_with_such_a_date_is_text(importer: Importer, at: str) -> None:
    rows = "".join(f"p{number},2024-01-01,2024-01-01\n" for number in range(40)) + f"t2,2024-01-01,{at}\n"
    found = importer("lead_id,created_at,until\n" + rows, dataset="leads", known=KNOWN)
    assert found.counts == (41, 41, 0, 0, 0)
    assert {row["until"] for row in found.rows} == {"2024-01-01", at}


def test_a_table_that_has_such_dates_takes_further_rows(importer: Importer) -> None:
    first = importer(HEADER + "t1,2024-01-01\n", dataset="leads")
    for file in first.current.files:
        table = pq.read_table(file)
        place = table.column_names.index("created_at")
        field = table.schema.field(place)
        # Half an hour into the year 10000.
        far = pa.array([253_402_302_600_000_000] * table.num_rows, pa.int64()).cast(field.type)
        pq.write_table(table.set_column(place, field, far), file)
    again = importer(HEADER + "t2,2024-01-01\n", dataset="leads", into=first, known=KNOWN)
    assert again.counts == (1, 1, 0, 0, 0)
    again = importer(HEADER + "t1,2024-01-02\nt3,2024-01-01\n", dataset="leads", into=again, known=KNOWN)
    assert again.counts == (2, 1, 1, 0, 0)
