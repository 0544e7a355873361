"""`make fuzz`: Schemathesis with every case it has for each schema, and EXAMPLES random ones for each operation."""

import subprocess
import sys
import tempfile
from pathlib import Path

from cli.stack import Stack
from tests.client import ROOT
from tests.fuzzing import world

ALL = "1"
# No mail server listens there: e-mails wait, and can be asked about.
ENVIRONMENT = {
    "DELIVER_TO_PRIVATE": "true",
    "SMTP_HOST": "127.0.0.1",
    "SMTP_PORT": "9",
    "SMTP_SECURITY": "none",
    "MAIL_FROM": "reports@example.com",
}


def main() -> int:
    examples = sys.argv[1] if len(sys.argv) > 1 else "100"
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        with Stack(home=home, environment=ENVIRONMENT) as stack:
            made = world.make(stack).write(Path(folder) / "world.json")
            command = [sys.executable, "-m", "tests.fuzzing.run", str(made), ALL]
            options = ["--phases=examples,coverage,fuzzing", f"--max-examples={examples}"]
            return subprocess.run([*command, *options], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
