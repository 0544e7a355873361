"""Where a text or a JSON value names a customer, and what is left of it without them."""

import json

import pytest

from analytics.datasets.mentions import ERASED, Mention

WHO = Mention("C-0017")


@pytest.mark.parametrize(
    "text",
    [
        "C-0017",
        " C-0017 ",
        "12,C-0017,Jane",
        '12,"C-0017","Doe, Jane"',
        "12;C-0017;Jane",
        "unknown customers: C-0017, C-0018.",
        "of customer C-0017's",
    ],
)
def test_a_text_names_them(text: str) -> None:
    assert WHO.is_in(text)
    assert "C-0017" not in WHO.mask(text)


@pytest.mark.parametrize("text", ["C-00171", "AC-0017", "C-0017-B", "c-0017", "C0017", ""])
def test_a_text_names_somebody_else(text: str) -> None:
    assert not WHO.is_in(text)
    assert WHO.mask(text) == text


def test_a_short_id_is_no_word_of_a_sentence_but_a_cell_of_a_record() -> None:
    short = Mention("17")
    assert not short.is_in("Scores run from 1 to 17 here")
    assert short.mask("from 1 to 17") == "from 1 to 17"
    assert short.is_in("17")
    assert short.is_in("9,17,x")
    assert short.mask("9,17,x") == ERASED


@pytest.mark.parametrize("who", ["\u3000X", "Y\u2003Y", "W\u0085", "\u2028V", "a\nb", "a\r\nb", 'a", b'])
def test_an_id_is_found_as_it_is_stored(who: str) -> None:
    quoted = who.replace('"', '""')
    mention = Mention(who)
    for text in (who, f" {who}\t", f'1,"{quoted}",x', f'"{quoted}";x'):
        assert mention.is_in(text)
        assert ERASED in mention.mask(text)
        assert not mention.is_in(mention.mask(text))
    assert mention.forget([["1", who], ["2", "X"]]) == [["2", "X"]]
    assert not Mention("X").is_in("\u3000X")
    assert Mention("X").mask("1,\u3000X,x") == "1,\u3000X,x"


def test_masking_leaves_the_rest_of_the_question_as_it_is() -> None:
    asked = {"filter": {"and": [{"column": "customer_id", "op": "in", "value": ["C-0017", "C-0018"]}, {"n": 5}]}}
    assert WHO.mask(asked) == {
        "filter": {"and": [{"column": "customer_id", "op": "in", "value": [ERASED, "C-0018"]}, {"n": 5}]}
    }
    assert WHO.is_anywhere_in(asked)
    assert not WHO.is_anywhere_in(WHO.mask(asked))


def test_forgetting_takes_what_stands_beside_the_id_too() -> None:
    said = {
        "read": 100,
        "samples": [
            {"line": 2, "column": "amount", "value": "x", "row": "1,C-0017,Jane Doe,x"},
            {"line": 3, "column": "amount", "value": "y", "row": "2,C-0018,Jim,y"},
        ],
        "preview": {"rows": [["C-0017", "Jane Doe"], ["C-0018", "Jim"]]},
        "first": {"customer_id": "C-0017", "name": "Jane Doe"},
        "warnings": [{"code": "unknown", "detail": "Unknown: C-0017 among others", "examples": ["C-0017", "C-0018"]}],
    }
    assert WHO.forget(said) == {
        "read": 100,
        "samples": [{"line": 3, "column": "amount", "value": "y", "row": "2,C-0018,Jim,y"}],
        "preview": {"rows": [["C-0018", "Jim"]]},
        "first": None,
        "warnings": [{"code": "unknown", "detail": f"Unknown: {ERASED} among others", "examples": [ERASED, "C-0018"]}],
    }


def test_names_of_members_are_looked_at_as_well() -> None:
    assert WHO.is_anywhere_in({"by": {"C-0017": 3}})
    assert WHO.mask({"by": {"C-0017": 3}}) == {"by": {ERASED: 3}}


@pytest.mark.parametrize("who", ["Zoë", 'a"b', "a\\b", "日本"])
@pytest.mark.parametrize("ensure_ascii", [True, False])
def test_a_json_document_is_found_by_one_of_the_needles(who: str, *, ensure_ascii: bool) -> None:
    document = json.dumps({"filter": who}, ensure_ascii=ensure_ascii)
    assert any(needle in document for needle in Mention(who).needles)
