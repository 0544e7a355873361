"""Charts as pictures, drawn without a browser: to be put into a page, whose colours they take, or to stand alone."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

_DEFINED = re.compile(r'<(?:clipPath|linearGradient) id="([^"]+)"')
_NAMED = re.compile(r'(id="|url\(#)([^")]+)([")])')
# Twice as many pixels as a picture has on a screen of ordinary density, so that it can be printed.
_PNG_SCALE = 2.0


def _config(ink: str, background: str) -> dict[str, Any]:
    return {
        "background": background,
        "padding": {"left": 12, "right": 12, "top": 5, "bottom": 5},
        # Widths are measured while drawing, so the face must be one that is the same here and on the page.
        "font": "sans-serif",
        "axis": {
            "labelFontSize": 12,
            "titleFontSize": 12,
            "labelColor": ink,
            "titleColor": ink,
            "tickColor": ink,
            "domainColor": ink,
        },
        "legend": {"labelColor": ink, "titleColor": ink},
        "title": {"color": ink},
    }


_ON_A_PAGE = _config("currentColor", "transparent")
_ALONE = _config("#1f2328", "#ffffff")


def charts_svg(charts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one SVG per chart (`{"title", "spec"}`). Nothing is fetched: the data are in the specifications."""
    if not charts:
        return []
    # The library brings a JavaScript engine with it, so only what draws pays for loading it.
    import vl_convert  # noqa: PLC0415 - see above

    drawn = (
        vl_convert.vegalite_to_svg(dict(chart["spec"]), config=_ON_A_PAGE, allowed_base_urls=[]) for chart in charts
    )
    return [_own_names(svg, position) for position, svg in enumerate(drawn)]


def alone_svg(chart: Mapping[str, Any]) -> bytes:
    """Return a chart as an SVG file: dark on white, with its title."""
    import vl_convert  # noqa: PLC0415 - see above

    return _own_names(vl_convert.vegalite_to_svg(_titled(chart), config=_ALONE, allowed_base_urls=[]), 0).encode()


def alone_png(chart: Mapping[str, Any]) -> bytes:
    """Return a chart as a PNG file: dark on white, with its title."""
    import vl_convert  # noqa: PLC0415 - see above

    return vl_convert.vegalite_to_png(_titled(chart), config=_ALONE, scale=_PNG_SCALE, allowed_base_urls=[])


def for_print(chart: Mapping[str, Any]) -> bytes:
    """Return a chart as a PDF page of its own size, letters and lines as such, without its title."""
    import vl_convert  # noqa: PLC0415 - see above

    return vl_convert.vegalite_to_pdf(dict(chart["spec"]), config=_ALONE, allowed_base_urls=[])


def _titled(chart: Mapping[str, Any]) -> dict[str, Any]:
    return {"title": chart["title"], **chart["spec"]}


def _own_names(svg: str, position: int) -> str:
    """Name what a picture refers to by its place on the page: the library goes on counting as long as it lives."""
    names = {name: f"p{position}-{count}" for count, name in enumerate(dict.fromkeys(_DEFINED.findall(svg)))}
    return _NAMED.sub(lambda found: found[1] + names.get(found[2], found[2]) + found[3], svg)
