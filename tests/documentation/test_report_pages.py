"""The pages of `docs/reports` are what the code says today; `make docs` writes them anew."""

import re

import pytest

from analytics.catalogue import registry
from tests.documentation import examples, pages

# The last digits of what is most likely, and how many steps lead there, are the processor's.
NUMBER = re.compile(r"-?\d[\d,]*\.\d+|(?<=after )\d+(?= evaluations)")


def _numbers(text: str) -> list[float]:
    return [float(found.replace(",", "")) for found in NUMBER.findall(text) if "." in found]


def test_every_type_has_a_page_and_no_other_has() -> None:
    assert {path.stem for path in pages.FOLDER.glob("*.md")} == {*registry.REPORT_TYPES, "README"}
    assert set(examples.EXAMPLES) == set(registry.REPORT_TYPES)
    assert (pages.FOLDER / "README.md").read_text(encoding="utf-8") == pages.index()


@pytest.mark.parametrize("name", sorted(registry.REPORT_TYPES))
def test_the_page_says_what_the_code_does(name: str) -> None:
    kept = (pages.FOLDER / f"{name}.md").read_text(encoding="utf-8")
    made, picture = pages.build(name)
    assert NUMBER.sub("#", kept) == NUMBER.sub("#", made), "run `make docs`"
    assert _numbers(kept) == pytest.approx(_numbers(made), rel=2e-3, abs=2e-3)
    # Letters are as wide as the machine's fonts, so of the picture only its being there is compared.
    assert (pages.FOLDER / f"{name}.svg").exists() == (picture is not None)
