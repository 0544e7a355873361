"""Writes `docs/reports` and `docs/openapi.json`: `make docs`."""

from analytics.catalogue import registry
from tests.documentation import contract, pages


def main() -> None:
    pages.FOLDER.mkdir(parents=True, exist_ok=True)
    for name in registry.REPORT_TYPES:
        text, picture = pages.build(name)
        (pages.FOLDER / f"{name}.md").write_text(text, encoding="utf-8")
        if picture is not None:
            (pages.FOLDER / f"{name}.svg").write_bytes(picture)
    (pages.FOLDER / "README.md").write_text(pages.index(), encoding="utf-8")
    contract.FILE.write_text(contract.text(), encoding="utf-8")


if __name__ == "__main__":
    main()
