"""`make test`: all tests. Those that mostly wait for processes of their own run beside the others, so the whole takes less time."""

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
# These start stacks of their own and wait for what becomes of them; they use little of the machine.
WAITING = (
    "acceptance/test_demo.py",
    "chaos",
    "integration/test_supervisor.py",
    "integration/test_up.py",
    "integration/test_watchdog.py",
)


def main() -> int:
    """Return the first exit code that is not 0. What the waiting ones print is shown when the others have ended."""
    pytest = [sys.executable, "-m", "pytest", *sys.argv[1:]]
    waiting = [str(HERE / name) for name in WAITING]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        beside = subprocess.Popen([*pytest, *waiting], stdout=output, stderr=subprocess.STDOUT)
        try:
            others = subprocess.run([*pytest, *(f"--ignore={path}" for path in waiting), str(HERE)], check=False)
        finally:
            code = beside.wait()
        output.seek(0)
        sys.stdout.write(output.read())
        sys.stdout.flush()
    return others.returncode or code


if __name__ == "__main__":
    sys.exit(main())
