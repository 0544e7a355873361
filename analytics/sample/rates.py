"""Exchange rates: for every currency of the sample and every day, what one unit is worth in the base currency."""

import numpy as np
import pyarrow as pa

from analytics.sample import arrays, plan, schemas, wording

DAILY_CHANGE = 0.004
PULL_BACK = 0.01


def fx_rates(made: plan.Plan) -> pa.RecordBatch:
    """Walks about the typical level, pulled back to it; the base currency is there too, always at one."""
    codes = made.options.currencies
    days = np.arange(np.datetime64(made.options.start), np.datetime64(made.options.end), dtype="datetime64[D]")
    rng = made.rng(plan.Stream.RATES, 0)
    steps = rng.normal(0.0, DAILY_CHANGE, (len(days), len(codes)))
    away = np.zeros_like(steps)
    for day in range(1, len(days)):
        away[day] = away[day - 1] * (1 - PULL_BACK) + steps[day]
    base = codes.index(made.options.currency)
    away -= away[:, [base]]
    levels = np.array([wording.DOLLARS_PER_UNIT[code] for code in codes])
    rate = np.rint(levels / levels[base] * np.exp(away) * arrays.MONEY_UNITS).astype(np.int64)
    columns = [
        arrays.texts(codes, np.tile(np.arange(len(codes)), len(days))),
        arrays.dates(np.repeat(days.astype(np.int64), len(codes))),
        arrays.money(rate.ravel()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schemas.SCHEMAS["fx_rates"])
