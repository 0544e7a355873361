"""Files the tests send: generated, seeded, of the size a test needs."""

from pathlib import Path

from analytics.sample import files, options


def orders(folder: Path, *, customers: int, orders_: int | None = None, seed: int = 7) -> Path:
    """Write orders of so many customers as CSV.gz and return the path."""
    if orders_ is None:
        wanted = options.SampleOptions(customers=customers, seed=seed)
    else:
        wanted = options.SampleOptions.for_orders(orders_, customers=customers, seed=seed)
    return files.write_csv("orders", wanted, folder / "orders.csv.gz")
