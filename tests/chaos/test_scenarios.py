"""Every scenario, at a size at which it is over in a minute or two: `pytest -m chaos`. `make chaos` plays them at full size."""

from pathlib import Path

import pytest

from tests.chaos.harness import scenario, suite
from tests.chaos.harness.suite import Pool

SCALE = 0.02


@pytest.mark.chaos
@pytest.mark.parametrize("name", scenario.in_order(list(suite.registry())))
def test_scenario(name: str, pool: Pool, chaos_seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = suite.registry()[name]
    outcome = scenario.play(chosen, pool.get(chosen.plan), seed=chaos_seed, scale=SCALE, folder=tmp_path)
    with capsys.disabled():
        print(f"\n{name}, seed {chaos_seed}: {suite.short(outcome)}")
    assert outcome.failure is None, outcome.failure
