"""The chaos suite: `python -m tests.chaos [--only S1,S13] [--seed N] [--scale 1.0] [--json FILE]`,
or `--soak HOURS`."""

import argparse
import signal
import sys
import time
from pathlib import Path

from tests.chaos.harness import scenario, soak, suite, turns


def main() -> int:
    """Play the scenarios asked for, print the tables, and fail if one of them failed."""
    # Whoever ends this process must not leave a stack behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    options = _options()
    seed = options.seed if options.seed is not None else time.time_ns() % 1_000_000
    if options.soak is not None:
        return soak.run(hours=options.soak, seed=seed, folder=options.results or _folder(seed))
    names = options.only.split(",") if options.only else list(suite.registry())
    unknown = sorted(set(names) - suite.registry().keys())
    if unknown:
        print(f"unknown: {', '.join(unknown)}; known: {', '.join(scenario.in_order(list(suite.registry())))}")
        return 2
    folder = options.results or _folder(seed)
    print(f"seed {seed}, histories in {folder}", flush=True)
    with turns.taken(_say):
        outcomes, points = suite.play_all(names, seed=seed, scale=options.scale, folder=folder, say=_say)
    suite.write_json(options.json or folder / "outcomes.json", outcomes, points, seed=seed, scale=options.scale)
    print(f"\n{suite.table(outcomes)}\n\n{suite.points_table(points)}\n\nseed {seed}")
    return 1 if any(outcome.failure for outcome in outcomes) else 0


def _say(text: str) -> None:
    print(text, flush=True)


def _folder(seed: int) -> Path:
    return suite.RESULTS / f"{time.strftime('%Y%m%dT%H%M%S')}-{seed}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--only", help="names of scenarios, separated by commas; all of them by default")
    parser.add_argument("--seed", type=int, help="what all chance is made from; a new one by default")
    parser.add_argument("--scale", type=float, default=1.0, help="1.0 for the published figures, 0.05 for a quick look")
    parser.add_argument("--soak", type=float, metavar="HOURS", help="a random fault every minute for so long, instead")
    parser.add_argument("--json", type=Path, help="where to write the outcomes as JSON")
    parser.add_argument(
        "--results", type=Path, help="folder of histories and logs; a new one under var/chaos by default"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
