"""The contract does not change unannounced."""

from tests.documentation import contract


def test_the_committed_document_is_the_served_one() -> None:
    committed = contract.FILE.read_text(encoding="utf-8")
    assert committed == contract.text(), "the contract has changed: `make docs` writes it anew; say so in CHANGELOG.md"
