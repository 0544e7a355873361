"""docs/importing.md says what the program does: its tables and its example are made here and compared."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from analytics.datasets import aliases, layouts, next_request, options, previewing, questions, remarks, schemas
from cli import import_file, import_preview
from web import import_query
from workers import retention

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "importing.md").read_text()
SOURCES = [path for path in (ROOT / "analytics" / "datasets").glob("*.py") if path.name != "aliases.py"]


def block(name: str) -> str:
    """What stands in the page between two marks."""
    found = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- /{name} -->", PAGE, re.DOTALL)
    assert found, f"the page has no block {name}"
    return found[1].strip("\n")


def codes_of(name: str) -> list[str]:
    return re.findall(r"^\| `([a-z-]+)` \|", block(name), re.MULTILINE)


def options_table() -> str:
    lines = ["| parameter | command line | what it says | left out |", "|---|---|---|---|"]
    for name, field in import_query.ImportQuery.model_fields.items():
        flag = f"`--{next_request.FLAGS.get(name, name).replace('_', '-')}`" if name in on_the_command_line() else "—"
        said = isinstance(field.default, str | int | float)
        default = f"`{field.default}`" if said else ""
        lines.append(f"| `{name}` | {flag} | {(field.description or '').replace('|', chr(92) + '|')} | {default} |")
    return "\n".join(lines)


def on_the_command_line() -> set[str]:
    names = {parameter.name for parameter in import_file.command.params if parameter.name}
    return {name.rstrip("_") for name in names}


def exports_table() -> str:
    lines = ["| system | export | dataset | who the customer is | to know |", "|---|---|---|---|---|"]
    for layout in layouts.ALL:
        customer = " · ".join(layout.columns.get("customer_id", ())) or "—"
        export = layout.title.partition(": ")[2]
        lines.append(f"| {layout.system} | {export} | `{layout.dataset}` | {customer} | {layout.advice or ''} |")
    return "\n".join(lines)


def names_table() -> str:
    lines = ["| dataset | column | usual names, best first |", "|---|---|---|"]
    for dataset, columns in aliases.ALIASES.items():
        lines += [f"| `{dataset}` | `{name}` | {' · '.join(words.split())} |" for name, words in columns.items()]
    return "\n".join(lines)


def strings(pattern: str) -> Iterator[str]:
    for path in SOURCES:
        yield from re.findall(pattern, path.read_text())


@pytest.mark.parametrize(
    ("name", "made"), [("options", options_table), ("exports", exports_table), ("usual-names", names_table)]
)
def test_the_tables_are_those_of_the_program(name: str, made: object) -> None:
    assert callable(made)
    assert block(name) == made()


def test_every_option_of_the_command_line_is_a_parameter() -> None:
    # The last two are options of every command, once it has been called.
    others = {"file", "dry_run", "rejects", "mend", "no_wait", "home", "json"}
    assert on_the_command_line() - others <= set(import_query.ImportQuery.model_fields)
    assert set(options.ImportOptions.model_fields) <= on_the_command_line()


def test_every_warning_is_explained() -> None:
    warned = {
        str(call.args[0].value)
        for path in SOURCES
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("ResultWarning")
        if isinstance(call.args[0], ast.Constant)
    }
    assert len(warned) > 10
    assert set(codes_of("warnings")) == warned


def test_every_reject_is_explained() -> None:
    in_sql = set(strings(r"'((?:bad|missing|duplicate|too|out)-[a-z-]+)'"))
    in_readers = set(strings(r"[\"']code[\"']: [\"']([a-z-]+)[\"']")) | set(
        strings(r"^[A-Z_]+ = \"((?:bad|wrong)-[a-z-]+)\"")
    )
    assert {"bad-timestamp", "duplicate-key", "missing-value", "out-of-range", "too-many-decimals"} <= in_sql
    assert in_sql | in_readers <= set(codes_of("rejects"))
    text = "".join(path.read_text() for path in SOURCES)
    assert [code for code in codes_of("rejects") if code not in text] == []


def test_every_question_is_explained() -> None:
    source = (ROOT / "analytics" / "datasets" / "questions.py").read_text()
    put = set(re.findall(r'case "([a-z-]+)"', source)) | {"which-dataset", "too-many-rejects", "unknown-sheet"}
    assert set(codes_of("questions")) == put
    assert questions.ASSUMED > questions.LIKELY


def test_how_long_files_are_kept_is_true() -> None:
    assert retention.KEEP_PREVIEWED_UPLOADS.days == 1
    assert retention.KEEP_UNSUCCESSFUL_UPLOADS.days == 7
    assert "kept for a day" in PAGE
    assert "kept for seven days" in PAGE


def test_every_dataset_is_described() -> None:
    assert [name for name in schemas.DATASETS if f"`{name}`" not in PAGE] == []


def test_the_example_is_what_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("deals.csv").write_text(block("example-file").removeprefix("```\n").removesuffix("\n```") + "\n")
    asked = options.PreviewOptions().with_defaults(timezone="Europe/London", currency="GBP")
    around = previewing.Surroundings(
        folder=tmp_path / "work",
        table=lambda _: None,
        known=lambda _: remarks.Known(),
        progress=lambda *_: None,
        memory="500MB",
        threads=1,
    )
    made = previewing.make(Path("deals.csv"), asked, around)
    assert made.options is not None
    following = next_request.compose(made.options, upload="0198c2f0-7a1e-7c55-9d2b-3f6c1d0a4e21", filename="deals.csv")
    preview = made.preview.model_copy(update={"next": following}).model_dump(mode="json")
    import_preview.show(preview, Path("deals.csv"))
    printed = "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines()).strip("\n")
    assert block("example-output").removeprefix("```\n").removesuffix("\n```") == printed
