"""Vega-Lite specifications of the pictures in results: plain dictionaries with their data inside."""

from collections.abc import Mapping, Sequence
from typing import Any

from analytics import result

_SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
# Names of products are long, and two of them may stand in one label.
_LABEL_WIDTH = 280
_FRAME = {"view": {"stroke": None}, "axis": {"grid": False, "domainOpacity": 0.3, "tickOpacity": 0.3}}


def bars(
    title: str, rows: Sequence[Mapping[str, Any]], *, label: str, value: str, order: Sequence[str]
) -> result.Chart:
    """Return horizontal bars, one per label, in the given order."""
    spec = {
        "mark": {"type": "bar", "cornerRadiusEnd": 2},
        "encoding": {
            "y": {
                "field": label,
                "type": "nominal",
                "sort": list(order),
                "title": None,
                "axis": {"labelLimit": _LABEL_WIDTH},
            },
            "x": {"field": value, "type": "quantitative", "title": value.replace("_", " ")},
        },
        "height": {"step": 22},
    }
    return _chart(title, rows, spec)


def lines(title: str, rows: Sequence[Mapping[str, Any]], *, x: str, y: str, color: str | None = None) -> result.Chart:
    """Return lines over calendar time, with a point on each value."""
    encoding: dict[str, Any] = {
        "x": {
            "field": x,
            "type": "temporal",
            "title": None,
            # Periods are calendar days; drawn in UTC they stay the days they are.
            "scale": {"type": "utc"},
            "axis": {"format": "%d %b %y", "labelOverlap": True, "tickCount": 8},
        },
        "y": {"field": y, "type": "quantitative", "title": y.replace("_", " ")},
    }
    if color is not None:
        encoding["color"] = {"field": color, "type": "nominal", "title": color.replace("_", " ")}
    return _chart(title, rows, {"mark": {"type": "line", "point": True}, "encoding": encoding, "height": 260})


def curve(title: str, rows: Sequence[Mapping[str, Any]], *, x: str, y: str) -> result.Chart:
    """Return one line over a counted axis, as a percentage."""
    encoding = {
        "x": {"field": x, "type": "quantitative", "title": x.replace("_", " "), "axis": {"tickMinStep": 1}},
        "y": {"field": y, "type": "quantitative", "title": y.replace("_", " "), "axis": {"format": "%"}},
    }
    return _chart(title, rows, {"mark": {"type": "line", "point": True}, "encoding": encoding, "height": 220})


def heat(title: str, rows: Sequence[Mapping[str, Any]], *, x: str, y: str, value: str) -> result.Chart:
    """Return a grid of cells shaded by value, each with its value as a percentage."""
    sides = {
        "x": {"field": x, "type": "ordinal", "title": x.replace("_", " "), "axis": {"labelAngle": 0}},
        "y": {"field": y, "type": "ordinal", "title": None},
    }
    shade = {"field": value, "type": "quantitative", "scale": {"scheme": "blues", "domainMin": 0}, "legend": None}
    ink = {
        "condition": {"test": f"datum['{value}'] > 0.5", "value": "white"},
        "value": "#1b1b1b",
    }
    layers = [
        {"mark": "rect", "encoding": {"color": shade}},
        {
            "mark": {"type": "text", "fontSize": 10},
            "encoding": {"text": {"field": value, "type": "quantitative", "format": ".0%"}, "color": ink},
        },
    ]
    return _chart(title, rows, {"encoding": sides, "layer": layers, "height": {"step": 20}, "width": {"step": 38}})


def stacked(
    title: str, rows: Sequence[Mapping[str, Any]], *, x: str, y: str, colors: Mapping[str, str]
) -> result.Chart:
    """Return bars over calendar periods made of `part`s in the order of their colours; those below zero hang down."""
    parts = [part for part in colors if any(row["part"] == part for row in rows)]
    encoding = {
        "x": {
            "field": x,
            "type": "ordinal",
            "title": None,
            "scale": {"domain": sorted({row[x] for row in rows})},
            "axis": {"labelOverlap": "greedy", "labelAngle": 0},
        },
        "y": {"field": y, "type": "quantitative", "title": y.replace("_", " ")},
        "color": {
            "field": "part",
            "type": "nominal",
            "title": None,
            "scale": {"domain": parts, "range": [colors[part] for part in parts]},
        },
        # Those nearest to zero come first.
        "order": {"field": "place", "type": "quantitative"},
    }
    placed = [{**row, "place": parts.index(row["part"])} for row in rows]
    return _chart(title, placed, {"mark": "bar", "encoding": encoding, "height": 260})


def beside(title: str, rows: Sequence[Mapping[str, Any]], *, x: str, y: str, part: str) -> result.Chart:
    """Return bars that stand beside each other at every value of x, in the order in which they come."""
    order = {"scale": {"domain": list(dict.fromkeys(row[part] for row in rows))}, "title": None}
    encoding = {
        "x": {"field": x, "type": "nominal", "sort": None, "title": x, "axis": {"labelAngle": 0}},
        "xOffset": {"field": part, "type": "nominal", "sort": None},
        "y": {"field": y, "type": "quantitative", "title": y},
        "color": {"field": part, "type": "nominal", **order},
    }
    return _chart(title, rows, {"mark": {"type": "bar", "cornerRadiusEnd": 2}, "encoding": encoding, "height": 240})


def histogram(title: str, rows: Sequence[Mapping[str, Any]], *, value: str) -> result.Chart:
    """Return bars from `from` to `to`, as parts of one, without gaps between them."""
    encoding = {
        "x": {"field": "from", "type": "quantitative", "bin": {"binned": True}, "title": None, "axis": {"format": "%"}},
        "x2": {"field": "to"},
        "y": {"field": value, "type": "quantitative", "title": value.replace("_", " ")},
    }
    return _chart(title, rows, {"mark": "bar", "encoding": encoding, "height": 200})


def steps(title: str, rows: Sequence[Mapping[str, Any]], *, x: str, y: str, unit: str) -> result.Chart:
    """Return falling steps per `group` in percent, each with the band between its `lower` and `upper`."""
    across = {"field": x, "type": "quantitative", "title": unit}
    share = {"axis": {"format": "%"}, "scale": {"domain": [0, 1]}, "title": y.replace("_", " ")}
    names = list(dict.fromkeys(row["group"] for row in rows))
    legend = {"legend": None if len(names) == 1 else {"title": None, "symbolOpacity": 1}}
    color = {"field": "group", "type": "nominal", "sort": names, **legend}
    band = {
        "mark": {"type": "area", "interpolate": "step-after", "opacity": 0.18},
        "encoding": {"y": {"field": "lower", "type": "quantitative", **share}, "y2": {"field": "upper"}},
    }
    line = {
        "mark": {"type": "line", "interpolate": "step-after"},
        "encoding": {"y": {"field": y, "type": "quantitative", **share}},
    }
    return _chart(title, rows, {"encoding": {"x": across, "color": color}, "layer": [band, line], "height": 260})


def points(title: str, rows: Sequence[Mapping[str, Any]], *, x: str, y: str, size: str) -> result.Chart:
    """Return a point per row, its two shares in percent, its area by a third value."""
    sides = {
        side: {"field": name, "type": "quantitative", "title": name.replace("_", " "), "axis": {"format": ".3~%"}}
        for side, name in (("x", x), ("y", y))
    }
    area = {"field": size, "type": "quantitative", "title": size.replace("_", " ")}
    mark = {"type": "circle", "opacity": 0.6}
    return _chart(title, rows, {"mark": mark, "encoding": {**sides, "size": area}, "height": 260})


def _chart(title: str, rows: Sequence[Mapping[str, Any]], spec: Mapping[str, Any]) -> result.Chart:
    whole = {"$schema": _SCHEMA, "width": 460, "data": {"values": list(rows)}, "config": _FRAME, **spec}
    return result.Chart(title, whole)
