"""The id by which a customer is looked up is, however it is written, the id that an import has stored."""

import csv
import io

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from analytics.datasets import persons
from tests.unit.datasets.conftest import Importer

# Of white space and of what is composed there is more than in other texts. Readers of files may make one line end of another.
IDS = st.text(st.sampled_from("aX1é\u0301e \t\u00a0\u2003\u3000\u2009\u0085\u2028\u200b\ufeff\x1c\n\"',"), min_size=1)
ODD = (
    " X ",
    "\u3000X",
    "\u2003Y\u2003",
    "Z\u2009",
    "W\u0085",
    "\u2028V",
    "\x1cU",
    "a\nb",
    "a\r\nb",
    "e\u0301",
    "\u00a0n\u202f",
)


def stored(importer: Importer, ids: list[str]) -> list[str]:
    content = io.StringIO(newline="")
    # What has many control characters for its length would be no CSV.
    rows = [(number, one, "-" * 900) for number, one in enumerate(ids)]
    csv.writer(content, quoting=csv.QUOTE_ALL).writerows([("lead_id", "customer_id", "note"), *rows])
    found = importer(content.getvalue(), dataset="leads")
    return [row["customer_id"] for row in found.select("CAST(lead_id AS INT) AS n, customer_id")]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ids=st.lists(IDS, min_size=1, max_size=6))
@example(ids=list(ODD))
def test_an_id_is_looked_up_as_it_was_stored(importer: Importer, ids: list[str]) -> None:
    assert stored(importer, ids) == [persons.canonical(one) or None for one in ids]


@pytest.mark.parametrize("one", ODD)
def test_a_stored_id_is_found_by_itself(one: str) -> None:
    assert persons.canonical(persons.canonical(one)) == persons.canonical(one)
