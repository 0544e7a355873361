"""The columns of a small result with every type of cell."""

import datetime as dt

from analytics.catalogue import columns

T = columns.ColumnType
NOON = dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC)
COLUMNS = tuple(
    columns.Column(name, kind, f"the {name}", unit)
    for name, kind, unit in (
        ("name", T.TEXT, None),
        ("n", T.INTEGER, "orders"),
        ("amount", T.DECIMAL, "GBP"),
        ("rate", T.NUMBER, "ratio"),
        ("ok", T.BOOLEAN, None),
        ("day", T.DATE, None),
        ("at", T.TIMESTAMP, None),
    )
)
