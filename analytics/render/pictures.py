"""Charts as SVG, drawn without a browser; colours follow the page the picture is put into."""

from collections.abc import Mapping, Sequence
from typing import Any

_INK = "currentColor"
_CONFIG = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "axis": {"labelColor": _INK, "titleColor": _INK, "tickColor": _INK, "domainColor": _INK},
    "legend": {"labelColor": _INK, "titleColor": _INK},
    "title": {"color": _INK},
}


def charts_svg(charts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one SVG per chart (`{"title", "spec"}`). Nothing is fetched: the data are in the specifications."""
    if not charts:
        return []
    # The library brings a JavaScript engine with it, so only what draws pays for loading it.
    import vl_convert  # noqa: PLC0415 - see above

    return [vl_convert.vegalite_to_svg(dict(chart["spec"]), config=_CONFIG, allowed_base_urls=[]) for chart in charts]
