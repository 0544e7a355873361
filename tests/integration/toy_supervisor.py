"""Runs FOLDER/Procfile, toys all of them, under the supervisor and keeps their pids by name in FOLDER/pids.json."""

import json
import signal
import sys
from pathlib import Path

from cli import child_environment, procfile
from cli.log_lines import LogOutput
from cli.process_spec import Kind, ProcessSpec, StopStep
from cli.supervisor import Supervisor

GRACE_SECONDS = 1.0


def main(folder: Path) -> int:
    parsed = procfile.read(folder / "Procfile")
    environment = child_environment.inherited() | {"FOLDER": str(folder)}

    def spec(entry: procfile.Entry, kind: Kind) -> ProcessSpec:
        marker = folder / f"{entry.name}.ready"
        return ProcessSpec(
            name=entry.name,
            argv=entry.argv,
            kind=kind,
            environment=environment,
            working_folder=folder,
            stop_steps=(StopStep(signal.SIGTERM, GRACE_SECONDS), StopStep(signal.SIGQUIT, GRACE_SECONDS)),
            is_ready=marker.exists,
            ready_within_seconds=2.0,
        )

    def record(pids: dict[str, int]) -> None:
        unfinished = folder / "pids.json.new"
        unfinished.write_text(json.dumps(pids))
        unfinished.rename(folder / "pids.json")

    services = [spec(entry, Kind.SERVICE) for entry in parsed.processes if entry.name.startswith("service")]
    steps = [spec(parsed.release, Kind.STEP)] if parsed.release else []
    processes = [spec(entry, Kind.PROCESS) for entry in parsed.processes if not entry.name.startswith("service")]
    return Supervisor([services, steps, processes], output=LogOutput(), on_change=record).run()


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
