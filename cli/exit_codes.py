"""What `reckoner` answers to the shell; every command keeps to this list."""

import enum


class ExitCode(enum.IntEnum):
    OK = 0
    FAILED = 1  # It was asked correctly and did not work out; the message says why.
    USAGE = 2  # The command line, a file or a setting is wrong (click's own code for a wrong option).
    ALREADY_RUNNING = 3  # Another `reckoner up` has this home.
    UNREACHABLE = 4  # No stack answers for this home.
    JOB_FAILED = 5  # The job that was waited for failed or was cancelled.
    TIMED_OUT = 6  # What was waited for did not happen in time.
    UNSAFE = 78  # A setting or a server is unsafe, and ALLOW_UNSAFE is not set (EX_CONFIG of sysexits.h).
    INTERRUPTED = 130  # Ctrl-C, as shells count it.
