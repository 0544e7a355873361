"""Files under the home: private, whole, and forgiving to read."""

import datetime as dt
from pathlib import Path

import pytest

from cli import home_lock, runtime_file

RUNTIME = runtime_file.Runtime(
    pid=1,
    run_id="r",
    started_at=dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
    web_url="http://127.0.0.1:1",
    flower_url="http://127.0.0.1:2",
    processes={"web": 3},
)


def test_it_comes_back_as_it_was_written_and_is_private(tmp_path: Path) -> None:
    runtime_file.write(tmp_path, RUNTIME)
    assert runtime_file.read(tmp_path) == RUNTIME
    assert runtime_file.path(tmp_path).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["runtime.json"]


@pytest.mark.parametrize("content", ["", "{", '{"pid": "x"}', "[]"])
def test_what_is_not_ours_reads_as_none(tmp_path: Path, content: str) -> None:
    runtime_file.path(tmp_path).write_text(content)
    assert runtime_file.read(tmp_path) is None


def test_removing_twice_is_no_error(tmp_path: Path) -> None:
    runtime_file.write(tmp_path, RUNTIME)
    runtime_file.remove(tmp_path)
    runtime_file.remove(tmp_path)
    assert runtime_file.read(tmp_path) is None


def test_a_lock_is_had_once_and_again_after(tmp_path: Path) -> None:
    with home_lock.hold(tmp_path):
        with pytest.raises(home_lock.AlreadyLockedError) as caught, home_lock.hold(tmp_path):
            pytest.fail("the lock was given twice")
        assert caught.value.pid is not None
    with home_lock.hold(tmp_path):
        pass
