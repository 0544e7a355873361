"""Ends servers that outlived a supervisor that was killed: two servers on one data folder would destroy it."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

import psutil

from cli.process_spec import StartError

# An environment variable of every process of a run, with the id of the run.
RUN_MARK = "RECKONER_RUN"


def end_servers_in(folder: Path, *, program: str, patience_seconds: float) -> None:
    """End every process of this program that works in `folder`; both our servers have their data as working folder.

    They were told to end when their supervisor died, so they are first given `patience_seconds` to do it cleanly.

    Raises:
        StartError: one of them cannot be ended.
    """
    found = _processes_in(folder, program)
    _, alive = psutil.wait_procs(found, timeout=patience_seconds if found else 0)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process.kill()
    _, stubborn = psutil.wait_procs(alive, timeout=5)
    if stubborn:
        pids = ", ".join(str(process.pid) for process in stubborn)
        raise StartError(f"{program} from an earlier run still works in {folder} (pid {pids}) and cannot be ended")


def end_processes_of_run(run_id: str, *, patience_seconds: float) -> Sequence[int]:
    """End what is left of an earlier run, known by the mark that every child carries in its environment."""
    # What belongs to another account has no environment that we may read, and is not one of ours.
    running = psutil.process_iter(["environ"])
    found = [process for process in running if (process.info["environ"] or {}).get(RUN_MARK) == run_id]
    _, alive = psutil.wait_procs(found, timeout=patience_seconds if found else 0)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process.kill()
    psutil.wait_procs(alive, timeout=5)
    return [process.pid for process in alive]


def _processes_in(folder: Path, program: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.name().startswith(program) and Path(process.cwd()) == folder:
                found.append(process)
        except psutil.Error:
            # It ended meanwhile, or belongs to somebody else and therefore is not one of ours.
            continue
    return found
