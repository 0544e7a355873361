"""What a caller may say about a file that is to be imported, validated. Light: the web parses query parameters with it."""

import enum
import json
import re
import zoneinfo
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from analytics.datasets import schemas

# What Python's regular expressions have and RE2, which runs them in linear time, has not.
NOT_IN_RE2 = re.compile(r"\(\?(?:[=!>(]|<[=!]|P=|#)|\\[1-9]|[*+?}]\+")
DATE_ORDERS = {"dmy": "DMY", "d/m": "DMY", "day-first": "DMY", "mdy": "MDY", "m/d": "MDY", "month-first": "MDY"} | {
    "ymd": "YMD",
    "y/m/d": "YMD",
    "year-first": "YMD",
}
DATE_TOKENS = {
    "YYYY": "%Y",
    "YY": "%y",
    "MMMM": "%B",
    "MMM": "%b",
    "MM": "%m",
    "M": "%m",
    "DD": "%d",
    "D": "%d",
    "HH": "%H",
    "H": "%H",
    "hh": "%I",
    "h": "%I",
    "mm": "%M",
    "ss": "%S",
    "SSS": "%f",
    "A": "%p",
    "a": "%p",
}


class ImportMode(enum.StrEnum):
    UPSERT = "upsert"  # a row whose key exists replaces the one that is there
    APPEND = "append"  # a row whose key exists is rejected
    REPLACE = "replace"  # the table becomes this file


class FileFormat(enum.StrEnum):
    AUTO = "auto"
    CSV = "csv"
    TSV = "tsv"
    NDJSON = "ndjson"
    JSON = "json"
    XLSX = "xlsx"
    PARQUET = "parquet"


def _check_dataset(name: str) -> str:
    if name not in schemas.DATASETS:
        raise ValueError(f"there is no dataset {name!r}; the datasets are {', '.join(schemas.DATASETS)}")
    return name


def _check_timezone(name: str) -> str:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is not an IANA time zone such as 'Europe/London'") from error
    return name


def _check_pattern(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    if NOT_IN_RE2.search(pattern):
        raise ValueError("look-around, back-references and possessive repeats are not understood (the syntax is RE2)")
    return pattern


def _read_date_format(text: str) -> str:
    """A date order (`DMY`, `day-first`), a strptime pattern, or tokens such as `DD/MM/YYYY HH:mm`."""
    if (order := DATE_ORDERS.get(text.strip().lower())) is not None:
        return order
    pattern = text if "%" in text else re.sub(r"Y+|M+|D+|H+|h+|m+|s+|S+|A|a", _token, text)
    codes = set(re.findall(r"%-?(.)", pattern))
    if not (codes & set("yY") and codes & set("mbB") and "d" in codes) or codes - set("yYmbBdHIMSfpzaAZ%"):
        raise ValueError("say 'DMY', 'MDY', 'YMD', a pattern such as '%d/%m/%Y %H:%M', or 'DD/MM/YYYY'")
    return pattern


def _token(match: re.Match[str]) -> str:
    found = DATE_TOKENS.get(match.group())
    if found is None:
        raise ValueError(f"{match.group()!r} is not part of a date format")
    return found


def _split_commas(value: Any) -> Any:
    return [word for word in value.split(",") if word.strip()] if isinstance(value, str) else value


def _read_json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError as error:
        raise ValueError(f"mapping must be a JSON object of canonical name to header: {error}") from error


class FileOptions(BaseModel):
    """How to read a file. A time zone or currency left out is the organisation's: see `with_defaults`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: ImportMode = Field(default=ImportMode.UPSERT, description="What happens with rows whose key exists")
    format: FileFormat = Field(default=FileFormat.AUTO, description="Format of the file; `auto` finds out")
    sheet: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="Sheet of a workbook; left out: the first visible one that has a table"
    )
    timezone: Annotated[str, AfterValidator(_check_timezone)] | None = Field(
        default=None, description="IANA zone of times that name none"
    )
    date_format: Annotated[str, AfterValidator(_read_date_format)] | None = Field(
        default=None, description="`DMY`, `MDY`, `YMD`, or a pattern such as `%d/%m/%Y`, for dates that are not ISO"
    )
    decimal: Literal[".", ","] | None = Field(default=None, description="Decimal sign; left out: found from the values")
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = Field(
        default=None, description="ISO 4217 code of amounts that name none"
    )
    refund_pattern: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_check_pattern)] | None = Field(
        default=None, description="RE2 expression; an order whose id matches is a refund"
    )
    null_values: Annotated[tuple[str, ...], BeforeValidator(_split_commas)] = Field(
        default=(), description="Words that mean no value, beside the usual ones"
    )
    max_rejects: float = Field(default=0.10, ge=0, le=1, description="Share of bad rows above which nothing is written")
    mapping: Annotated[Mapping[str, str | None], BeforeValidator(_read_json)] = Field(
        default_factory=dict, description="Canonical column to header of the file; null: the file has none"
    )

    def with_defaults(self, *, timezone: str, currency: str) -> Self:
        """The same options with the organisation's time zone and currency where none was said."""
        update = {"timezone": self.timezone or timezone, "currency": self.currency or currency}
        return self.model_copy(update=update)


class ImportOptions(FileOptions):
    """How to read a file, and the dataset its rows belong to."""

    dataset: Annotated[str, AfterValidator(_check_dataset)] = Field(description="Dataset the rows belong to")

    @model_validator(mode="after")
    def _check_mapping(self) -> Self:
        _check_names(self.mapping, self.dataset)
        return self


class PreviewOptions(FileOptions):
    """How to read a file whose dataset may still have to be found out."""

    dataset: Annotated[str, AfterValidator(_check_dataset)] | None = Field(
        default=None, description="Dataset the rows belong to; left out: guessed from headers and values"
    )

    @model_validator(mode="after")
    def _check_mapping(self) -> Self:
        if self.dataset is not None:
            _check_names(self.mapping, self.dataset)
            return self
        known = {column.name for schema in schemas.DATASETS.values() for column in schema.columns}
        if unknown := sorted(set(self.mapping) - known):
            raise ValueError(f"mapping names {unknown}, which no dataset has")
        return self

    def of(self, dataset: str) -> ImportOptions:
        """The options of an import of the same file into a dataset; what the mapping says of other columns is left out."""
        known = {column.name for column in schemas.DATASETS[dataset].columns}
        mapping = {name: header for name, header in self.mapping.items() if name in known}
        return ImportOptions.model_validate(
            self.model_dump(exclude={"dataset", "mapping"}) | {"dataset": dataset, "mapping": mapping}
        )


def _check_names(mapping: Mapping[str, str | None], dataset: str) -> None:
    known = {column.name for column in schemas.DATASETS[dataset].columns}
    if unknown := sorted(set(mapping) - known):
        raise ValueError(f"mapping names {unknown}, but {dataset} has the columns {sorted(known)}")
