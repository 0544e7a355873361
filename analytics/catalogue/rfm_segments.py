"""The table that gives each customer of an `rfm` report a segment: data, not code."""

# Rows: recency score 5 (bought lately) down to 1. Columns: the mean of frequency and monetary score, 1 up to 5.
# Our own partition of the usual five-by-five grid: every cell has exactly one name.
# Scores on another number of bins are stretched to five first.
GRID: tuple[tuple[str, str, str, str, str], ...] = (
    ("new", "promising", "loyal", "champions", "champions"),
    ("new", "promising", "loyal", "loyal", "champions"),
    ("cooling", "cooling", "needs_attention", "loyal", "loyal"),
    ("dormant", "dormant", "at_risk", "at_risk", "cannot_lose"),
    ("lost", "lost", "dormant", "at_risk", "cannot_lose"),
)

MEANINGS: dict[str, str] = {
    "champions": "bought lately, often and for much",
    "loyal": "come back and spend well",
    "promising": "bought lately, a few times",
    "new": "bought lately, little so far",
    "needs_attention": "middling in everything, could go either way",
    "cooling": "bought little and not lately",
    "cannot_lose": "among the best once, not seen for long",
    "at_risk": "good customers not seen for long",
    "dormant": "small customers not seen for long",
    "lost": "smallest and longest gone",
}


def segment(r: int, fm: int) -> str:
    """Return the segment of a recency score and a frequency-and-monetary score, both 1 to 5."""
    return GRID[5 - r][fm - 1]
