"""Charts as SVG, drawn without a browser; colours follow the page the picture is put into."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

_INK = "currentColor"
_DEFINED = re.compile(r'<(?:clipPath|linearGradient) id="([^"]+)"')
_NAMED = re.compile(r'(id="|url\(#)([^")]+)([")])')
_CONFIG = {
    "background": "transparent",
    "padding": {"left": 12, "right": 12, "top": 5, "bottom": 5},
    # Widths are measured while drawing, so the face must be one that is the same here and on the page.
    "font": "sans-serif",
    "axis": {
        "labelFontSize": 12,
        "titleFontSize": 12,
        "labelColor": _INK,
        "titleColor": _INK,
        "tickColor": _INK,
        "domainColor": _INK,
    },
    "legend": {"labelColor": _INK, "titleColor": _INK},
    "title": {"color": _INK},
}


def charts_svg(charts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one SVG per chart (`{"title", "spec"}`). Nothing is fetched: the data are in the specifications."""
    if not charts:
        return []
    # The library brings a JavaScript engine with it, so only what draws pays for loading it.
    import vl_convert  # noqa: PLC0415 - see above

    drawn = (vl_convert.vegalite_to_svg(dict(chart["spec"]), config=_CONFIG, allowed_base_urls=[]) for chart in charts)
    return [_own_names(svg, position) for position, svg in enumerate(drawn)]


def _own_names(svg: str, position: int) -> str:
    """Name what a picture refers to by its place on the page: the library goes on counting as long as it lives."""
    names = {name: f"p{position}-{count}" for count, name in enumerate(dict.fromkeys(_DEFINED.findall(svg)))}
    return _NAMED.sub(lambda found: found[1] + names.get(found[2], found[2]) + found[3], svg)
