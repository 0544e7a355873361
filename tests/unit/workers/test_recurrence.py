"""When schedules are due: a year of slots against another library, and the rules at changes of the clocks one by one."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import crondst
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.schedules import recurrence
from workers.schedules.recurrence import CronError, Recurrence

YEAR = datetime(2026, 1, 1, tzinfo=UTC)
# Each changes its clocks in its own way, by half an hour in the third; the last one never does.
ZONES = ("Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
EXPRESSIONS = (
    "30 1 * * *",
    "0 2 * * *",
    "15 2 * * SUN",
    "0,30 0-4 * * *",
    "45 1,2,3 * 3,4,10,11 *",
    "0 9 * * MON-FRI",
    "0 0 1 * *",
    "59 23 28-31 * *",
    "0 12 13 * FRI",
    "0 * * * *",
    "*/30 * * * *",
)


def slots(expression: str, zone: str, *, after: datetime, until: datetime) -> list[datetime]:
    due = Recurrence(recurrence.parse(expression), ZoneInfo(zone)).after(after)
    found = []
    for slot in due:
        if slot > until:
            break
        found.append(slot)
    return found


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_year_is_what_another_library_says(expression: str, zone: str) -> None:
    until = YEAR + timedelta(days=366)
    theirs = []
    for slot in crondst.CronDst(expression.lower()).iter(YEAR.astimezone(ZoneInfo(zone))):
        if slot.astimezone(UTC) > until:
            break
        theirs.append(slot.astimezone(UTC))
    assert slots(expression, zone, after=YEAR, until=until) == theirs
    assert len(theirs) >= 1


@pytest.mark.parametrize(
    ("expression", "zone", "day", "expected"),
    [
        # 01:30 is jumped over: it fires at 02:00, which is the next time there is.
        ("30 1 * * *", "Europe/London", "2026-03-29", ["02:00+01:00"]),
        # So are 01:00 and 01:15, and both come to the same slot.
        ("0,15 1 * * *", "Europe/London", "2026-03-29", ["02:00+01:00"]),
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-04", ["02:30+11:00"]),
        # Every second hour goes by the clock on the wall: 02:00 is jumped over as well.
        (
            "0 0-6/2 * * *",
            "America/New_York",
            "2026-03-08",
            ["00:00-05:00", "03:00-04:00", "04:00-04:00", "06:00-04:00"],
        ),
        # 01:30 comes twice: the first counts.
        ("30 1 * * *", "Europe/London", "2026-10-25", ["01:30+01:00"]),
        ("30 1 * * *", "America/New_York", "2026-11-01", ["01:30-04:00"]),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-05", ["01:45+11:00"]),
        # Minutes of a named hour come once as well.
        ("*/30 1 * * *", "Europe/London", "2026-10-25", ["01:00+01:00", "01:30+01:00"]),
    ],
)
def test_changes_of_the_clocks(expression: str, zone: str, day: str, expected: list[str]) -> None:
    midnight = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    found = slots(expression, zone, after=midnight - timedelta(seconds=1), until=midnight + timedelta(hours=7))
    local = [slot.astimezone(ZoneInfo(zone)).isoformat() for slot in found]
    assert [text[11:16] + text[19:] for text in local] == expected


@pytest.mark.parametrize("expression", ["*/30 * * * *", "*/30 0-23 * * *"])
@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_what_takes_every_hour_goes_by_elapsed_time(expression: str, day: str) -> None:
    start = datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(hours=2)
    found = slots(expression, "Europe/London", after=start, until=start + timedelta(hours=8))
    assert {later - earlier for earlier, later in pairwise(found)} == {timedelta(minutes=30)}
    assert len(found) == 16


def test_from_within_a_repeated_hour_nothing_lies_in_the_past() -> None:
    second_pass = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)
    due = Recurrence("30 1 * * *", ZoneInfo("Europe/London")).next(second_pass)
    assert due == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


def test_a_day_that_a_zone_left_out_fires_when_the_next_one_begins() -> None:
    # Samoa crossed the date line: it had no 30 December 2011.
    due = slots(
        "0 12 * * *",
        "Pacific/Apia",
        after=datetime(2011, 12, 29, 12, tzinfo=UTC),
        until=datetime(2011, 12, 31, 12, tzinfo=UTC),
    )
    local = [slot.astimezone(ZoneInfo("Pacific/Apia")).isoformat() for slot in due]
    assert local == ["2011-12-29T12:00:00-10:00", "2011-12-31T00:00:00+14:00", "2011-12-31T12:00:00+14:00"]


@settings(max_examples=150, deadline=None)
@given(
    minute=st.sampled_from(["0", "30", "*/20", "7,8", "15-45/15"]),
    hour=st.sampled_from(["*", "1", "2,3", "0-5", "*/2", "23"]),
    zone=st.sampled_from([*ZONES, "America/Santiago", "Africa/Cairo", "America/Havana", "Antarctica/Troll"]),
    start=st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1)),  # noqa: DTZ001 - the zone is given below
)
def test_slots_rise_and_do_not_depend_on_where_one_begins(minute: str, hour: str, zone: str, start: datetime) -> None:
    due = Recurrence(f"{minute} {hour} * * *", ZoneInfo(zone))
    began = start.replace(tzinfo=UTC)
    found = list(islice(due.after(began), 30))
    assert all(earlier < later for earlier, later in pairwise([began, *found]))
    for index, slot in enumerate(found[:-1]):
        assert due.next(slot) == found[index + 1]
        assert due.is_slot(slot)
    newest = due.newest(began, found[-1], limit=12)
    assert newest.slots == tuple(found[-12:])
    assert newest.complete is False
    assert due.newest(began, found[-1], limit=30).slots == tuple(found)


def test_start_and_end_may_be_slots_themselves() -> None:
    first, last = datetime(2026, 5, 1, 6, tzinfo=UTC), datetime(2026, 5, 3, 6, tzinfo=UTC)
    due = Recurrence("0 6 * * *", ZoneInfo("UTC"), starts_at=first, ends_at=last)
    assert list(due.after(YEAR)) == [first, first + timedelta(days=1), last]
    assert due.next(last) is None
    assert due.is_slot(last + timedelta(days=1))
    assert not due.is_slot(last + timedelta(hours=1))


def test_a_long_outage_costs_little() -> None:
    due = Recurrence("* * * * *", ZoneInfo("Europe/London"))
    until = datetime(2026, 6, 1, 0, 0, 30, tzinfo=UTC)
    newest = due.newest(datetime(2016, 1, 1, tzinfo=UTC), until, limit=100)
    assert newest.slots[-1] == datetime(2026, 6, 1, tzinfo=UTC)
    assert (len(newest.slots), newest.complete) == (100, False)
    yearly = Recurrence("0 0 1 1 *", ZoneInfo("UTC")).newest(datetime(2016, 6, 1, tzinfo=UTC), until, limit=100)
    assert (len(yearly.slots), yearly.complete) == (10, True)


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("0 0 30 2 *", "never-fires", "none of its months"),
        ("0 0 31 2,4,6 *", "never-fires", "none of its months"),
        ("0 0 0 * * *", "seconds", "five fields"),
        ("* * * *", "field-count", "five fields, not 4"),
        ("*/61 * * * *", "step-too-long", "'*/61' goes beyond the 60 values of the minute"),
        ("0 5-23/25 * * *", "step-too-long", "24 values of the hour"),
        ("60 * * * *", "not-cron", "'60' is no minute"),
        ("0 24 * * *", "not-cron", "'24' is no hour"),
        ("0 0 32 * *", "not-cron", "'32' is no day of month"),
        ("0 0 ? * *", "not-cron", "write `*`"),
        ("0 0 * JANUARY *", "not-cron", "no month"),
        ("0 0 * * 9", "not-cron", "no day of week"),
        ("@reboot", "unknown-alias", "@daily"),
        ("@every 5m", "unknown-alias", "*/5 * * * *"),
        ("0 " * 200, "too-long", "at most 200"),
    ],
)
def test_what_is_no_cron_says_why(text: str, code: str, says: str) -> None:
    with pytest.raises(CronError) as refused:
        recurrence.parse(text)
    assert refused.value.code == code
    assert says in refused.value.detail


def test_aliases_and_spaces_become_five_fields() -> None:
    assert recurrence.parse("@Weekly") == "0 0 * * 0"
    assert recurrence.parse("  0  6 * *\tMON ") == "0 6 * * MON"
    assert recurrence.parse("0 0 29 2 *") == "0 0 29 2 *"
    assert recurrence.parse("*/60 */24 * * *") == "*/60 */24 * * *"


@pytest.mark.parametrize(
    ("expression", "interval"),
    [
        ("* * * * *", timedelta(minutes=1)),
        ("0,5 6 1 1 *", timedelta(minutes=5)),
        ("59 23 * * *", timedelta(days=1)),
        ("0 0 * 2 MON#5", timedelta(days=365 * 28 + 7)),
    ],
)
def test_the_shortest_interval(expression: str, interval: timedelta) -> None:
    assert recurrence.shortest_interval(expression) == interval
