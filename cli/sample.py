"""`reckoner sample`: write generated CRM data to a folder."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from cli import invocation, output
from models.base import Json


@click.command("sample")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("sample"), show_default=True)
@click.option("--customers", type=click.IntRange(min=1), default=1_000, show_default=True)
@click.option(
    "--orders", type=click.IntRange(min=1), help="About so many orders, instead of what such customers would place."
)
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same bytes.")
@click.option("--from", "start", type=click.DateTime(["%Y-%m-%d"]), default="2024-01-01", show_default=True)
@click.option(
    "--to", "end", type=click.DateTime(["%Y-%m-%d"]), default="2026-01-01", show_default=True, help="Exclusive."
)
@click.option("--currency", default="GBP", show_default=True)
@click.option("--dataset", "datasets", multiple=True, help="Only this dataset; repeatable.")
def command(  # noqa: PLR0913 - one argument per option of the command
    *,
    out: Path,
    customers: int,
    orders: int | None,
    seed: int,
    start: datetime,
    end: datetime,
    currency: str,
    datasets: tuple[str, ...],
) -> None:
    """Write seeded, realistic CRM data: one CSV.gz per dataset."""
    # Imported here: they load numpy and Arrow, which the help text does not need.
    from analytics.sample import files, options, schemas  # noqa: PLC0415

    unknown = set(datasets) - set(schemas.DATASETS)
    if unknown:
        raise click.BadParameter(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(schemas.DATASETS)}")
    common: dict[str, Any] = {
        "seed": seed,
        "start": start.date(),
        "end": end.date(),
        "currency": currency,
        "currencies": (currency,),
    }
    try:
        if orders is not None:
            wanted = options.SampleOptions.for_orders(orders, customers=customers, **common)
        else:
            wanted = options.SampleOptions(customers=customers, **common)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    written: Json = {}
    with output.progress("sample") as report:
        names = datasets or tuple(schemas.DATASETS)
        for index, name in enumerate(names):
            report(name, index, len(names))
            written[name] = files.write_csv(name, wanted, out / f"{name}.csv.gz")
    if invocation.current().as_json:
        output.emit_json(written)
    else:
        for path in written.values():
            output.say(str(path))
