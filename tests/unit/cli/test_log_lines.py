"""Lines of many processes in one output."""

import errno
import io
import os

from cli.log_lines import LONGEST_LINE, LineSplitter, LogOutput


def test_pieces_become_lines_and_the_last_is_not_lost() -> None:
    splitter = LineSplitter()
    assert splitter.feed(b"one\ntw") == ["one"]
    assert splitter.feed(b"o\r\n\nthree") == ["two", ""]
    assert splitter.finish() == ["three"]
    assert splitter.finish() == []


def test_a_character_cut_in_two_is_put_together() -> None:
    splitter = LineSplitter()
    euro = "€\n".encode()
    assert splitter.feed(euro[:2]) == []
    assert splitter.feed(euro[2:]) == ["€"]


def test_what_is_not_text_is_shown_and_a_line_without_end_is_cut() -> None:
    splitter = LineSplitter()
    assert splitter.feed(b"\xff\n") == ["�"]
    lines = splitter.feed(b"x" * (2 * LONGEST_LINE + 1))
    assert [len(line) for line in lines] == [LONGEST_LINE, LONGEST_LINE]
    assert splitter.finish() == ["x"]


def test_names_are_aligned_and_plain_off_a_terminal() -> None:
    stream = io.StringIO()
    output = LogOutput(stream)
    output.introduce(["web", "flower"])
    output.line("web", "hello")
    output.line("flower", "hello")
    assert stream.getvalue() == "web    | hello\nflower | hello\n"


def test_each_name_has_its_colour_on_a_terminal() -> None:
    stream = io.StringIO()
    output = LogOutput(stream, coloured=True)
    output.introduce(["a", "b"])
    output.line("a", "text")
    output.line("b", "text")
    first, second = stream.getvalue().splitlines()
    assert first.startswith("\x1b[")
    assert first.split("a |")[0] != second.split("b |")[0]
    assert first.endswith("\x1b[0mtext")


def test_a_reader_that_went_away_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "w")
    output = LogOutput(stream)
    output.line("web", "nobody reads this")
    output.line("web", "nor this")
    stream.close()


class _FullDisk(io.StringIO):
    """A log file on a disk that is full for a while."""

    full = True

    def flush(self) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_does_not_silence_the_log_for_ever() -> None:
    stream = _FullDisk()
    output = LogOutput(stream)
    output.plain("lost, or not")
    stream.full = False
    output.plain("heard again")
    assert stream.getvalue().endswith("heard again\n")
