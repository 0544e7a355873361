"""Previews: what would be done with a file, and what only its sender knows, without a table or a server."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analytics import errors
from analytics.datasets import importing, next_request, options, previewing, remarks
from analytics.datasets.preview import Preview, Question
from tests.unit.datasets.conftest import Imported, Importer

Previewer = Callable[..., previewing.Previewed]
DEALS = "Id,AccountId,Name,StageName,Amount,CloseDate\n006A,001A,One,Closed Won,1.5,2024-05-06\n006B,001A,Two,Lost,2,2024-05-07\n"


@pytest.fixture
def previewer(tmp_path: Path) -> Previewer:
    def run(content: str, *, on: Imported | None = None, **said: Any) -> previewing.Previewed:
        folder = tmp_path / "preview"
        folder.mkdir(exist_ok=True)
        path = folder / "file"
        path.write_text(content)
        asked = options.PreviewOptions(**said).with_defaults(timezone="UTC", currency="EUR")
        around = previewing.Surroundings(
            folder=folder / "work",
            table=lambda _: on.current if on else None,
            known=lambda _: remarks.Known(),
            progress=lambda *_: None,
            memory="500MB",
            threads=1,
        )
        return previewing.make(path, asked, around)

    return run


def question(found: previewing.Previewed, code: str) -> Question:
    return next(one for one in found.preview.questions if one.code == code)


def first_row(preview: Preview) -> dict[str, Any]:
    return dict(zip([column.name for column in preview.columns], preview.rows[0], strict=True))


def test_a_clean_file_is_ready_and_shown_as_it_would_be_stored(previewer: Previewer) -> None:
    found = previewer(DEALS)
    preview = found.preview
    assert preview.ready
    assert (preview.dataset.chosen, preview.dataset.how) == ("deals", "guessed")
    assert preview.facts["layout"] == "Salesforce: Opportunity object"
    assert [(one.header, one.column, one.how, one.type) for one in preview.mapping[:2]] == [
        ("Id", "deal_id", "usual-name", "text"),
        ("AccountId", "customer_id", "usual-name", "text"),
    ]
    assert preview.mapping[4].samples == ["1.5", "2"]
    row = first_row(preview)
    assert (row["amount"], row["closed_at"], row["status"], row["currency"]) == (
        "1.50",
        "2024-05-06T00:00:00Z",
        "won",
        "EUR",
    )
    assert preview.counts is not None
    assert preview.counts.model_dump() == {"read": 2, "inserted": 2, "updated": 0, "unchanged": 0, "rejected": 0}
    assert "owner" in {column.column for column in preview.unmapped}


def test_counts_are_those_of_the_table_as_it_is(previewer: Previewer, importer: Importer) -> None:
    before = importer(DEALS, dataset="deals")
    found = previewer(DEALS.replace("Two,Lost", "Two,Won") + "006C,001A,Three,Open,3,\n", on=before)
    assert found.preview.counts is not None
    assert found.preview.counts.model_dump() == {"read": 3, "inserted": 1, "updated": 1, "unchanged": 1, "rejected": 0}
    assert len(before.rows) == 2


def test_an_ambiguous_date_is_shown_both_ways_and_read_one_way(previewer: Previewer) -> None:
    text = "order_id,customer_id,ordered_at,amount\n1,a,03/04/2024,5\n2,b,05/06/2024,6\n"
    found = previewer(text)
    asked = question(found, "ambiguous-date-order")
    assert [choice.value for choice in asked.choices] == ["DMY", "MDY"]
    assert [choice.example for choice in asked.choices] == [
        "'03/04/2024' is day 03 of month 04",
        "'03/04/2024' is day 04 of month 03",
    ]
    assert (asked.parameter, asked.assumed, found.preview.ready) == ("date_format", "DMY", False)
    assert first_row(found.preview)["ordered_at"] == "2024-04-03T00:00:00Z"
    answered = previewer(text, date_format="MDY")
    assert answered.preview.ready
    assert first_row(answered.preview)["ordered_at"] == "2024-03-04T00:00:00Z"


def test_an_ambiguous_decimal_sign_is_a_question(previewer: Previewer) -> None:
    text = "order_id;customer_id;ordered_at;amount\n1;a;2024-01-02;1.234\n2;b;2024-01-02;5.678\n"
    asked = question(previewer(text), "ambiguous-decimal-sign")
    assert [(choice.value, choice.example) for choice in asked.choices] == [
        (".", "'1.234' is 1.234"),
        (",", "'1.234' is 1234"),
    ]
    assert previewer(text, decimal=",").preview.ready


def test_a_missing_column_is_asked_for_with_likely_headers(previewer: Previewer) -> None:
    text = "order_id,ordered_at,amount,buyer ref,colour\n1,2024-01-02,5,a,red\n2,2024-01-03,6,b,blue\n"
    found = previewer(text, dataset="orders")
    asked = question(found, "missing-columns")
    assert (asked.column, asked.parameter) == ("customer_id", "mapping")
    assert asked.choices[0].value == "buyer ref"
    assert asked.choices[0].example == "a"
    assert asked.choices[-1].value is None
    assert not found.preview.ready
    assert found.preview.counts is not None
    assumed = next(column for column in found.preview.mapping if column.column == "customer_id")
    assert (assumed.header, assumed.how, assumed.confidence) == ("buyer ref", "assumed", 0.5)
    assert previewer(text, dataset="orders", mapping={"customer_id": "buyer ref"}).preview.ready


def test_a_key_that_is_nowhere_stops_the_preview_but_shows_the_columns(previewer: Previewer) -> None:
    found = previewer("name,colour\na,red\n", dataset="deals")
    assert found.options is None
    assert found.preview.counts is None
    assert [(one.header, one.column) for one in found.preview.mapping] == [("name", "name"), ("colour", "colour")]
    assert "deal_id" in {one.column for one in found.preview.questions}
    assert not next(one for one in found.preview.questions if one.column == "deal_id").goes_on


def test_a_file_like_no_dataset_says_so(previewer: Previewer) -> None:
    found = previewer("colour,weight of the thing\nred,heavy\n")
    assert found.preview.dataset.chosen is None
    assert [one.code for one in found.preview.questions] == ["which-dataset"]
    assert len(found.preview.questions[0].choices) == 10
    assert found.preview.mapping[0].samples == ["red"]


def test_too_many_rejects_are_shown_and_asked_about(previewer: Previewer) -> None:
    text = "order_id,customer_id,ordered_at,amount\n1,a,2024-01-02,5\n2,b,2024-01-03,x\n3,c,2024-01-04,y\n"
    found = previewer(text)
    asked = question(found, "too-many-rejects")
    assert (asked.parameter, asked.assumed) == ("max_rejects", 0.67)
    assert [one.model_dump() for one in found.preview.rejects] == [
        {
            "code": "bad-number",
            "count": 2,
            "samples": [
                {"line": 3, "column": "amount", "value": "x"},
                {"line": 4, "column": "amount", "value": "y"},
            ],
        }
    ]
    assert previewer(text, max_rejects=asked.assumed).preview.ready
    assert found.preview.counts is not None
    assert found.preview.counts.rejected == 2


def test_two_equal_headers_are_told_apart_by_place(previewer: Previewer) -> None:
    text = "order_id,customer_id,Date,Date,amount\n1,a,2024-01-02,2025-01-02,5\n"
    found = previewer(text, dataset="orders")
    asked = question(found, "ambiguous-header")
    assert [choice.value for choice in asked.choices] == ["#3", "#4", None][: len(asked.choices)]
    assert [choice.example for choice in asked.choices[:2]] == ["2024-01-02", "2025-01-02"]
    answered = previewer(text, dataset="orders", mapping={"ordered_at": "#4"})
    assert answered.preview.ready
    assert first_row(answered.preview)["ordered_at"] == "2025-01-02T00:00:00Z"


def test_a_header_that_is_not_there_is_corrected(previewer: Previewer) -> None:
    text = "order_id,customer_id,ordered_at,Gross total\n1,a,2024-01-02,5\n"
    found = previewer(text, dataset="orders", mapping={"amount": "Gros total"})
    asked = question(found, "unknown-header")
    assert (asked.column, asked.choices[0].value) == ("amount", "Gross total")
    assert found.preview.counts is not None


def test_what_no_answer_can_mend_is_refused(previewer: Previewer) -> None:
    with pytest.raises(errors.Refusal) as refused:
        previewer("order_id,customer_id,ordered_at,amount\n")
    assert refused.value.code == "empty-file"
    with pytest.raises(errors.Refusal) as pattern:
        previewer(DEALS, refund_pattern=r"C\Z")
    assert pattern.value.code == "bad-refund-pattern"


def test_long_texts_are_cut_and_nul_is_no_text_for_a_database() -> None:
    from analytics.datasets import evidence  # noqa: PLC0415 - beside the function it tests

    assert evidence.shorten("x" * 100) == "x" * 59 + "…"
    assert evidence.shorten("a\0b") == "a\N{REPLACEMENT CHARACTER}b"


def test_the_next_request_has_every_decided_option(previewer: Previewer) -> None:
    found = previewer(
        "order_id,customer_id,ordered_at,amount\n1,a,03/04/2024,5\n2,b,05/06/2024,6\n",
        null_values="-,none",
        mode="append",
    )
    assert found.options is not None
    following = next_request.compose(found.options, upload="0198", filename="my orders.csv")
    assert following.method == "POST"
    assert following.path == (
        "/v1/imports?upload=0198&dataset=orders&mode=append&timezone=UTC&date_format=DMY&currency=EUR&null_values=-%2Cnone"
    )
    assert following.command == (
        "reckoner import 'my orders.csv' --as orders --mode append --timezone UTC --date-format DMY --currency EUR "
        "--null - --null none"
    )


def test_a_column_the_file_does_not_have_is_mapped_to_nothing() -> None:
    asked = options.ImportOptions(dataset="order_lines", mapping={"ordered_at": None, "product": "item"})
    following = next_request.compose(asked, upload=None, filename=None)
    assert following.command == "reckoner import FILE --as order_lines --map ordered_at= --map product=item"
    assert "mapping=%7B%22ordered_at%22%3Anull%2C%22product%22%3A%22item%22%7D" in following.path


def test_a_preview_reads_rows_as_an_import_does(previewer: Previewer, importer: Importer) -> None:
    text = DEALS + ",001A,No id,Open,4,\n"
    found = previewer(text, max_rejects=1.0)
    done = importer(text, dataset="deals")
    assert found.preview.counts is not None
    assert tuple(found.preview.counts.model_dump().values()) == done.counts
    assert {one.code: one.count for one in found.preview.rejects} == dict(done.change.rejects_by_code)
    assert isinstance(done.staged, importing.Staged)


def test_rows_are_shown_with_the_types_that_grow_with_them(previewer: Previewer, importer: Importer) -> None:
    on = importer("deal_id,stage,visits\n1,Lead,3\n", dataset="deals")
    preview = previewer("deal_id,stage,visits\n2,Lead,many\n", on=on, dataset="deals").preview
    assert first_row(preview)["visits"] == "many"
    assert [column.type for column in preview.columns if column.name == "visits"] == ["text"]
