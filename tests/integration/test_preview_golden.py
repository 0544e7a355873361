"""Every published file, previewed without a word: the dataset it belongs to, or the reason why none was chosen."""

from pathlib import Path

import pytest

from analytics.datasets import options, previewing, remarks

DATA = Path(__file__).parents[2].parent / "shared" / "data"
pytestmark = [
    pytest.mark.golden,
    pytest.mark.skipif(not DATA.is_dir(), reason="the shared data folder is not there"),
]

# What is certain, and may be imported as it is.
CERTAIN = {
    "crm_pipeline/accounts.csv": "customers",
    "crm_pipeline/sales_pipeline.csv.gz": "deals",
    "duplicates/fake_1000.csv": "customers",
    "duplicates/febrl1.csv": "customers",
    "duplicates/febrl3.csv.gz": "customers",
    "leads/leads.csv.gz": "leads",
    "leads/leads_mangled_export.csv.gz": "leads",
    "online_retail/online_retail.csv.gz": "order_lines",
    "subscriptions/subscription_periods.csv": "subscriptions",
    "telco_churn/Telco-Customer-Churn.csv.gz": "customers",
}
# What is likely, and what is asked: the columns that no header is known for.
LIKELY = {
    "baskets/groceries_long.csv.gz": ("order_lines", {"ordered_at", "amount"}),
    "cdnow/cdnow_sample.csv.gz": ("orders", {"customer_id"}),
}
# Sums of journeys, a price list, a list of sales people, names without any header that is a word: rows of no dataset.
OF_NONE = {
    "attribution/path_data.csv.gz",
    "crm_pipeline/products.csv",
    "crm_pipeline/sales_teams.csv",
    "duplicates/RLdata500.csv",
}


def preview(name: str, folder: Path) -> previewing.Previewed:
    asked = options.PreviewOptions().with_defaults(timezone="Europe/London", currency="GBP")
    around = previewing.Surroundings(
        folder=folder,
        table=lambda _: None,
        known=lambda _: remarks.Known(),
        progress=lambda *_: None,
        memory="1GB",
        threads=2,
    )
    return previewing.make(DATA / name, asked, around)


def test_no_file_is_forgotten() -> None:
    files = {
        str(path.relative_to(DATA)) for path in DATA.rglob("*.csv*") if "answers" not in path.relative_to(DATA).parts
    }
    assert files == {*CERTAIN, *LIKELY, *OF_NONE}


@pytest.mark.parametrize("name", sorted(CERTAIN))
def test_what_is_certain_is_ready(name: str, tmp_path: Path) -> None:
    found = preview(name, tmp_path).preview
    assert (found.dataset.chosen, found.dataset.how, found.questions) == (CERTAIN[name], "guessed", [])
    assert found.ready
    assert found.counts is not None
    assert (found.counts.read, found.counts.rejected) == (found.counts.inserted, 0)
    assert len(found.rows) == 10


@pytest.mark.parametrize("name", sorted(LIKELY))
def test_what_is_likely_is_asked_about(name: str, tmp_path: Path) -> None:
    dataset, columns = LIKELY[name]
    found = preview(name, tmp_path).preview
    assert (found.dataset.chosen, found.dataset.how, found.ready) == (dataset, "assumed", False)
    assert {one.column for one in found.questions if one.code == "missing-columns"} == columns
    assert found.counts is not None
    assert found.counts.inserted == found.counts.read


@pytest.mark.parametrize("name", sorted(OF_NONE))
def test_what_is_of_no_dataset_says_why_not(name: str, tmp_path: Path) -> None:
    found = preview(name, tmp_path).preview
    assert (found.dataset.chosen, found.ready, found.counts) == (None, False, None)
    assert [one.code for one in found.questions] == ["which-dataset"]
    assert "none of its headers" in found.questions[0].detail
