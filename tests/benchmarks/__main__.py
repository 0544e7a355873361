"""`make bench`: every figure of docs/benchmarks.md, each beside its named peer in the same run, printed as Markdown."""

import argparse
import os
import platform
import tempfile
from collections.abc import Mapping
from pathlib import Path

from cli.stack import Stack
from tests.benchmarks import (
    accepts_against_delay,
    bursts,
    clv_against_lifetimes,
    downloads,
    imports_against_peers,
    jobs_against_peers,
    polls_and_watchers,
    reports_against_duckdb,
    reports_as_data_grow,
    reports_on_the_stack,
    rfm_against_duckdb,
    upserts_against_peers,
)


def _table(title: str, figures: Mapping[str, float]) -> None:
    print(f"\n### {title}\n\n| figure | value |\n|---|---:|")
    for name, value in figures.items():
        print(f"| {name.replace('_', ' ')} | {_number(value)} |")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--lines", type=int, default=10_000_000, help="order lines of the import")
    parser.add_argument("--orders", type=int, default=5_000_000, help="orders of rfm")
    parser.add_argument("--customers", type=int, default=500_000, help="customers of rfm")
    parser.add_argument("--clv-customers", type=int, default=1_000_000, help="customers of clv")
    parser.add_argument("--jobs", type=int, default=5_000, help="no-op jobs of each queue")
    parser.add_argument("--requests", type=int, default=3_000, help="requests accepted in each round")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[1_000_000, 10_000_000, 50_000_000], help="order lines of reports"
    )
    parser.add_argument("--reports", nargs="*", default=[], help="only these reports, as data grow")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the result that is downloaded")
    parser.add_argument(
        "--only",
        choices=("reliability", "imports", "analytics", "growth", "clv", "downloads", "bursts"),
        help="one part of the benchmarks",
    )
    asked = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for name, part in {
        "reliability": _reliability,
        "imports": _imports,
        "analytics": _analytics,
        "growth": _growth,
        "clv": _clv,
        "downloads": _downloads,
        "bursts": _bursts,
    }.items():
        if asked.only in (None, name):
            part(asked)


def _reliability(asked: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="reckoner-bench-") as name:
        _table("Jobs per second, end to end, of no-op jobs", jobs_against_peers.measure(Path(name), jobs=asked.jobs))
    with tempfile.TemporaryDirectory(prefix="reckoner-bench-") as name:
        _table("Requests accepted", accepts_against_delay.measure(Path(name), requests=asked.requests))
    with tempfile.TemporaryDirectory(prefix="reckoner-bench-") as name:
        _table("Polls, and 200 who watch", polls_and_watchers.measure(Path(name), requests=asked.requests))


def _imports(asked: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="reckoner-bench-") as name:
        folder = Path(name)
        path = imports_against_peers.generate(folder, lines=asked.lines)
        with Stack(home=folder / "home") as stack:
            _table("Import of order lines", imports_against_peers.measure(stack, path, folder))
            _table("Upsert of one line in a hundred", upserts_against_peers.measure(stack, path, folder))
            _table("Imports of other sizes", imports_against_peers.memory(stack, folder, lines=asked.lines))


def _analytics(asked: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="reckoner-bench-") as name:
        folder = Path(name)
        with Stack(home=folder / "home") as stack:
            at_rest = reports_on_the_stack.memory(stack)
            _table(
                "A small report on an idle stack, request to result", reports_on_the_stack.small_report(stack, folder)
            )
            _table("Memory at rest, megabytes", at_rest)
            _table("Memory after 200 small reports, megabytes", reports_on_the_stack.memory(stack))
            rfm = reports_on_the_stack.large_rfm(stack, folder, orders=asked.orders, customers=asked.customers)
        peers = rfm_against_duckdb.measure(asked.orders, asked.customers)
        reports = reports_against_duckdb.measure(asked.orders, asked.customers)
    stored = rfm["seconds_with_result_stored"]
    rfm["ratio_to_duckdb_to_parquet"] = stored / peers["duckdb_to_parquet"]
    rfm["ratio_to_duckdb_to_arrow"] = stored / peers["duckdb_to_arrow"]
    _table("rfm on the stack, claim to stored result", rfm)
    _table("rfm in one process, against the query by hand and pandas", peers)
    _table("The other reports in one process, against queries by hand", reports)


def _growth(asked: argparse.Namespace) -> None:
    names = [
        "rows",
        "seconds",
        "seconds stored",
        "by hand",
        "ratio",
        "ratio of processor time",
        "ratio stored",
        "pandas",
    ]
    names += ["peak MB", "peak MB by hand", "peak MB pandas"]
    print(f"\n| report | order lines | {' | '.join(names)} |\n|---|---:|{'---:|' * len(names)}")
    for report, lines, figures in reports_as_data_grow.measure(asked.sizes, asked.reports):
        cells = " | ".join(_number(figures[name]) if name in figures else "" for name in names)
        print(f"| {report} | {lines:,} | {cells} |", flush=True)


def _clv(asked: argparse.Namespace) -> None:
    _table("clv against lifetimes, in one process", clv_against_lifetimes.measure(asked.clv_customers))


def _downloads(asked: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="reckoner-bench-") as name, Stack(home=Path(name) / "home") as stack:
        _table("Downloads", downloads.measure(stack, Path(name), rows=asked.rows))


def _bursts(_asked: argparse.Namespace) -> None:
    _table("One result for a hundred receivers", bursts.measure())


if __name__ == "__main__":
    main()
