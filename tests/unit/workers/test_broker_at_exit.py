"""A process ends although one of its threads was in the middle of something with Redis."""

import subprocess
import sys

PROGRAM = """
import threading, time
from workers import broker
taken = threading.Event()
def hold():
    with broker.client().connection_pool._lock:
        taken.set()
        time.sleep(600)
threading.Thread(target=hold, daemon=True).start()
taken.wait()
"""


def test_a_thread_that_holds_the_connections_does_not_hold_up_the_end() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], check=False, timeout=60)
    assert ended.returncode == 0
