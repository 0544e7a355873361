"""Who is at the keyboard, for the record of what was done to a job."""

import os
import pwd


def name() -> str:
    """Return the account that runs this command, as the system and not the environment says it."""
    uid = os.getuid()
    try:
        return f"operator {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"operator {uid}"
