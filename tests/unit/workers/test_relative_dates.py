"""Relative dates: what each means for one slot, in which zone, and what is refused."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from analytics.catalogue import registry
from workers.refusals import RefusedError
from workers.schedules import relative

# A Sunday, six in the morning in London and one in New York.
SLOT = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
RFM = registry.REPORT_TYPES["rfm"].params


def resolve(params: dict[str, Any], *, zone: str = "Europe/London", due_at: datetime = SLOT) -> dict[str, Any]:
    return relative.resolve(params, model=RFM, due_at=due_at, zone=ZoneInfo(zone))


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("now", "2026-11-22T06:00:00Z"),
        ("today", "2026-11-22"),
        ("yesterday", "2026-11-21"),
        ("tomorrow", "2026-11-23"),
        ("start_of_week", "2026-11-16"),
        ("start_of_month", "2026-11-01"),
        ("start_of_quarter", "2026-10-01"),
        ("start_of_year", "2026-01-01"),
        ("today - 7 days", "2026-11-15"),
        ("today-1 week", "2026-11-15"),
        ("start_of_quarter - 1 year + 1 month", "2025-11-01"),
        ("start_of_year - 1 quarter", "2025-10-01"),
        ("today + 9 hours", "2026-11-22T09:00:00Z"),
        ("now - 36 hours", "2026-11-20T18:00:00Z"),
        # Six o'clock stays six o'clock, though the clocks were changed in between.
        ("now - 1 month", "2026-10-22T05:00:00Z"),
        ("2026-02-03", "2026-02-03"),
        ("2026-02-03T04:05:06Z", "2026-02-03T04:05:06Z"),
    ],
)
def test_a_date(text: str, means: str) -> None:
    assert resolve({"start": text})["start"] == means


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ({"last": "1 month", "complete": True}, "2026-10-01", "2026-11-01"),
        ({"last": "quarter", "complete": True}, "2026-07-01", "2026-10-01"),
        ({"last": "2 weeks", "complete": True}, "2026-11-02", "2026-11-16"),
        ({"last": "7 days", "complete": True}, "2026-11-15", "2026-11-22"),
        ({"last": "3 hours", "complete": True}, "2026-11-22T03:00:00Z", "2026-11-22T06:00:00Z"),
        ({"last": "7 days"}, "2026-11-15T06:00:00Z", "2026-11-22T06:00:00Z"),
        ({"last": "1 month", "complete": False}, "2026-10-22T05:00:00Z", "2026-11-22T06:00:00Z"),
        ({"this": "month"}, "2026-11-01", "2026-11-22T06:00:00Z"),
        ({"this": "year"}, "2026-01-01", "2026-11-22T06:00:00Z"),
    ],
)
def test_a_range(asked: dict[str, Any], start: str, end: str) -> None:
    assert resolve({"range": asked, "bins": 4}) == {
        "timezone": "Europe/London",
        "bins": 4,
        "start": start,
        "end": end,
    }


def test_a_day_is_one_of_the_zone() -> None:
    late = datetime(2026, 11, 1, 2, 0, tzinfo=UTC)
    assert resolve({"start": "today"}, due_at=late)["start"] == "2026-11-01"
    assert resolve({"start": "today"}, due_at=late, zone="America/New_York")["start"] == "2026-10-31"
    month = {"range": {"last": "1 month", "complete": True}}
    assert resolve(month, due_at=late, zone="America/New_York")["start"] == "2026-09-01"


def test_an_hour_begins_where_the_clock_of_the_zone_says() -> None:
    hours = resolve({"range": {"last": "1 hour", "complete": True}}, zone="Asia/Kathmandu")
    assert (hours["start"], hours["end"]) == ("2026-11-22T04:15:00Z", "2026-11-22T05:15:00Z")


@pytest.mark.parametrize(
    ("zone", "slot", "hours"),
    [
        # The clock goes back by half an hour at 15:00 UTC, so that its second hour lasts ninety minutes.
        ("Australia/Lord_Howe", "2027-04-03T14:15Z", ("13:00", "14:00")),
        ("Australia/Lord_Howe", "2027-04-03T15:45Z", ("14:00", "15:30")),
        ("Australia/Lord_Howe", "2027-04-03T16:45Z", ("15:30", "16:30")),
        # And on by as much at 15:30 UTC.
        ("Australia/Lord_Howe", "2027-10-02T15:45Z", ("14:30", "15:30")),
        ("Australia/Lord_Howe", "2027-10-02T16:15Z", ("15:30", "16:00")),
        # One hour comes twice.
        ("Europe/London", "2026-10-25T01:15Z", ("00:00", "01:00")),
        ("Europe/London", "2026-10-25T02:15Z", ("01:00", "02:00")),
    ],
)
def test_whole_hours_follow_each_other_where_clocks_change(zone: str, slot: str, hours: tuple[str, str]) -> None:
    found = resolve({"range": {"last": "1 hour", "complete": True}}, due_at=datetime.fromisoformat(slot), zone=zone)
    assert (found["start"][11:16], found["end"][11:16]) == hours


@pytest.mark.parametrize(
    ("period", "slot", "start"),
    [
        ("month", "2026-12-01T00:00Z", "2026-11-01"),
        ("month", "2026-12-01T00:01Z", "2026-12-01"),
        ("day", "2026-12-01T00:00Z", "2026-11-30"),
        ("week", "2026-11-23T00:00Z", "2026-11-16"),
        ("year", "2027-01-01T00:00Z", "2026-01-01"),
        ("hour", "2026-12-01T05:00Z", "2026-12-01T04:00:00Z"),
        ("hour", "2026-12-01T05:05Z", "2026-12-01T05:00:00Z"),
    ],
)
def test_what_begins_at_the_slot_has_not_happened(period: str, slot: str, start: str) -> None:
    due_at = datetime.fromisoformat(slot)
    assert resolve({"range": {"this": period}}, due_at=due_at)["start"] == start


def test_a_month_before_the_last_of_march_is_the_last_of_february() -> None:
    end_of_march = datetime(2028, 3, 31, 12, tzinfo=UTC)
    assert resolve({"start": "today - 1 month"}, due_at=end_of_march)["start"] == "2028-02-29"


def test_a_week_begins_on_the_day_the_report_says() -> None:
    assert resolve({"start": "start_of_week", "week_start": "sunday"})["start"] == "2026-11-22"
    assert resolve({"start": "start_of_week", "week_start": "saturday"})["start"] == "2026-11-21"


def test_the_zone_of_the_report_is_the_schedules_unless_it_has_its_own() -> None:
    assert resolve({})["timezone"] == "Europe/London"
    assert resolve({"timezone": "UTC"})["timezone"] == "UTC"


def test_dates_that_only_one_report_has_are_relative_as_well() -> None:
    model = registry.REPORT_TYPES["clv"].params
    asked = {"calibration_end": "start_of_month", "type": "today"}
    resolved = relative.resolve(asked, model=model, due_at=SLOT, zone=ZoneInfo("UTC"))
    assert resolved == {"timezone": "UTC", "calibration_end": "2026-11-01", "type": "today"}


def test_no_report_has_a_parameter_of_the_name_of_ranges() -> None:
    assert [name for name, kind in registry.REPORT_TYPES.items() if relative.RANGE in kind.params.model_fields] == []


@pytest.mark.parametrize(
    ("params", "pointer", "says"),
    [
        ({"start": "todya"}, "#/params/start", "Did you mean 'today'?"),
        ({"end": "today - 7"}, "#/params/end", "neither a date"),
        ({"as_of": "today - 1 fortnight"}, "#/params/as_of", "no unit of time"),
        ({"start": "today - 9999 years"}, "#/params/start", "outside the calendar"),
        ({"start": "today" + " + 1 day" * 9}, "#/params/start", "at most 8"),
        ({"start": {"last": "1 month"}}, "#/params/start", '"range"'),
        ({"range": "1 month"}, "#/params/range", "A range is"),
        ({"range": {"last": "1 moon"}}, "#/params/range/last", "no unit of time"),
        ({"range": {"last": "0 days"}}, "#/params/range/last", "no length of time"),
        ({"range": {"lats": "1 day"}}, "#/params/range/last", "required"),
        ({"range": {"this": "decade"}}, "#/params/range/this", "no unit of time"),
        ({"range": {"last": "1 day", "complete": "yes"}}, "#/params/range/complete", "boolean"),
        ({"range": {"last": "1 day"}, "end": "today"}, "#/params/range", "give it or them"),
    ],
)
def test_what_is_not_understood_is_refused_where_it_is(params: dict[str, Any], pointer: str, says: str) -> None:
    with pytest.raises(RefusedError) as refused:
        resolve(params)
    assert refused.value.errors[0].pointer == pointer
    assert says in refused.value.detail


def test_everything_wrong_is_said_at_once() -> None:
    with pytest.raises(RefusedError) as refused:
        resolve({"as_of": "soon", "range": {"last": "long"}})
    assert [error.pointer for error in refused.value.errors] == ["#/params/as_of", "#/params/range/last"]


def test_the_page_says_what_they_mean() -> None:
    """The tables of docs/schedules.md are true."""
    page = (Path(__file__).parents[3] / "docs" / "schedules.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]+)`(?: \| `([^`]+)`)?", page, re.MULTILINE)
    dates = [(asked, means) for asked, means, end in rows if not end and asked.split()[0] in list(relative.Anchor)]
    ranges = [(json.loads(asked), start, end) for asked, start, end in rows if asked.startswith("{")]
    assert (len(dates), len(ranges)) == (6, 4)
    for asked, means in dates:
        assert (asked, resolve({"start": asked})["start"]) == (asked, means)
    for asked, start, end in ranges:
        found = resolve({"range": asked})
        assert (asked, found["start"], found["end"]) == (asked, start, end)
