"""Counting against quotas: windows, what others let through, and a Redis that forgets."""

from web.request_quota import MOST_SUBJECTS, WINDOW_SECONDS, Counts, Policy

POLICY = Policy("default", 3)
NOW = 1_800_000_000.0


def test_a_quota_is_spent_and_whole_again_when_it_said() -> None:
    counts = Counts()
    left = [counts.spend("a", POLICY, now=NOW) for _ in range(4)]
    assert [one.left if one is not None else None for one in left] == [2, 1, 0, None]
    standing = counts.look("a", POLICY, now=NOW)
    assert 1 <= standing.seconds <= WINDOW_SECONDS
    assert counts.spend("a", POLICY, now=NOW + standing.seconds - 1.001) is None
    whole = counts.spend("a", POLICY, now=NOW + standing.seconds)
    assert whole is not None
    assert whole.left == 2


def test_everybody_has_a_quota_and_a_window_of_their_own() -> None:
    counts = Counts()
    while counts.spend("a", POLICY, now=NOW):
        pass
    assert counts.spend("b", POLICY, now=NOW) is not None
    ends = {counts.look(str(number), POLICY, now=NOW).seconds for number in range(100)}
    assert len(ends) > 20


def test_what_others_let_through_is_counted() -> None:
    counts = Counts()
    counts.spend("a", POLICY, now=NOW)
    ((name, window, more),) = counts.current(NOW)
    assert (name, more) == ("a", 1)
    counts.learn([(name, window, more, 2)])
    assert counts.current(NOW) == [("a", window, 0)]
    assert counts.look("a", POLICY, now=NOW).left == 1
    counts.spend("a", POLICY, now=NOW)
    assert counts.spend("a", POLICY, now=NOW) is None


def test_a_redis_that_forgets_begins_anew_and_own_requests_stay_counted() -> None:
    counts = Counts()
    counts.spend("a", POLICY, now=NOW)
    counts.spend("a", POLICY, now=NOW)
    ((_, window, more),) = counts.current(NOW)
    counts.learn([("a", window, more, 3)])
    assert counts.spend("a", POLICY, now=NOW) is None
    counts.learn([("a", window, 0, 0)])
    assert counts.look("a", POLICY, now=NOW).left == 1


def test_what_is_learnt_too_late_changes_nothing() -> None:
    counts = Counts()
    counts.spend("a", POLICY, now=NOW)
    ((_, window, more),) = counts.current(NOW)
    later = NOW + WINDOW_SECONDS
    counts.spend("a", POLICY, now=later)
    counts.learn([("a", window, more, 100)])
    assert counts.look("a", POLICY, now=later).left == 2


def test_windows_that_are_over_are_forgotten_and_there_are_never_too_many() -> None:
    counts = Counts()
    counts.spend("a", POLICY, now=NOW)
    assert counts.current(NOW + WINDOW_SECONDS) == []
    for number in range(MOST_SUBJECTS + 5):
        counts.spend(str(number), POLICY, now=NOW)
    assert len(counts.current(NOW)) == MOST_SUBJECTS
