"""The customer data: one Delta table per organisation and dataset, read as versions and changed by whole commits.

Only workers import this module. A commit is made against the version its files were computed from; where somebody else
was faster it fails as `LakeConflict` and changes nothing, so no import is lost or applied to rows it never saw.
"""

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
from deltalake import exceptions, transaction

from models import dataset, lake_log, lake_storage

# The entry of a commit's metadata that holds what the importer wants to know again.
FACTS = "reckoner"
CONFIGURATION = {
    # Reports are pinned to versions; expiring the log would take away the means to open one.
    "delta.enableExpiredLogCleanup": "false",
    # Each so many versions the table is written down as it is, so that whoever opens it reads few entries.
    "delta.checkpointInterval": "100",
}
# So many entries without that mean that it has failed.
LATE_CHECKPOINT = 200


class LakeConflict(Exception):  # noqa: N818 - the name says what happened
    """Another commit came first; compute the change again on the version that is there now. Transient."""


@dataclass(frozen=True, slots=True)
class LakeFile:
    """A file of a version: its address, how large it is, and how many rows it has."""

    address: str
    size: int
    rows: int

    @property
    def is_small(self) -> bool:
        return self.size < dataset.SMALL_FILE_BYTES


@dataclass(frozen=True, slots=True)
class Layout:
    """How the rows of a version lie in files; what is small is worth gathering."""

    files: int
    bytes: int
    small_files: int


@dataclass(frozen=True, slots=True)
class LakeSnapshot:
    """One version of a table.

    Attributes:
        contents: its Parquet files; older ones may lack columns that were added later.
        schema: the columns of the table at that version.
    """

    dataset: str
    version: int
    contents: tuple[LakeFile, ...]
    schema: pa.Schema

    @property
    def files(self) -> tuple[str, ...]:
        """Paths or addresses of the files."""
        return tuple(file.address for file in self.contents)

    @property
    def row_count(self) -> int:
        return sum(file.rows for file in self.contents)

    @property
    def layout(self) -> Layout:
        return layout(self.contents)


@dataclass(frozen=True, slots=True)
class LakeChange:
    """The next version of a table.

    Attributes:
        base: the version the change was computed from; None where there was no table.
        added: local Parquet files, copied into the table.
        removed: files of `base` that leave the table.
        schema: all columns of the table from then on.
        facts: JSON values that `committed` gives back.
        returned: files of older versions that join the table again, as they lie there.
        keeps_rows: whether the rows stay what they were, so that who follows the log has nothing to read.
    """

    base: LakeSnapshot | None
    added: tuple[Path, ...]
    removed: tuple[str, ...]
    schema: pa.Schema
    facts: Mapping[str, Any]
    returned: tuple[str, ...] = ()
    keeps_rows: bool = False

    @property
    def base_version(self) -> int | None:
        return self.base.version if self.base else None


@dataclass(frozen=True, slots=True)
class Committed:
    """A job's commit: the version it made, the rows the table then had and how they lie, and the facts stored with it."""

    version: int
    row_count: int
    facts: Mapping[str, Any]
    layout: Layout


@dataclass(frozen=True, slots=True)
class LakeTable:
    """A table that may not exist yet.

    Attributes:
        uri: absolute folder or address of an object store.
        storage_options: what the object store needs to know; unset, its usual environment variables count.
    """

    uri: str
    dataset: str
    storage_options: Mapping[str, str] | None = None

    @property
    def storage(self) -> lake_storage.Storage:
        return lake_storage.of(self.uri, self.storage_options)

    @property
    def is_local(self) -> bool:
        return "://" not in self.uri

    def snapshot(self, version: int | None = None) -> LakeSnapshot | None:
        """The newest version or the given one; None where there is no such table or version, or its files are removed."""
        table = self._open(version)
        if table is None:
            return None
        found = LakeSnapshot(self.dataset, table.version(), self._contents(table), _schema(table))
        # The log remembers versions whose files are no longer kept; the newest always has its own.
        if version is not None and not self.storage.holds([self.path(address) for address in found.files]):
            return None
        return found

    def committed(self, job_id: str) -> Committed | None:
        """What the job committed, if it did."""
        table = self._open(None)
        return None if table is None else self._committed(table, job_id)

    def commit(self, job_id: str, change: LakeChange) -> Committed:
        """Make the next version in one commit; a job that has committed before gets its first commit back.

        The job's id becomes the Delta application transaction, which makes a repeat a no-op.

        Raises:
            LakeConflict: the table is no longer at the version that the change was computed from.
        """
        table = self._open(None)
        if table is not None and (done := self._committed(table, job_id)) is not None:
            return done
        if (table.version() if table else None) != change.base_version:
            raise LakeConflict(f"{self.uri} is no longer at version {change.base_version}")
        placed = [self._place(path, job_id) for path in change.added]
        if table is not None and not _same_columns(table, change.schema):
            placed += self._carry_over(table, change.removed, job_id)
        try:
            self._write_log(table, job_id=job_id, placed=placed, change=change)
        except exceptions.DeltaError as error:
            # The answer may have been lost on its way, so the table is asked.
            if (landed := self.committed(job_id)) is not None:
                return landed
            for path in placed:
                self.storage.discard(path)
            self._raise_if_overtaken(change, error)
            raise
        self.storage.sync_log()
        return self._must_have_committed(job_id)

    def path(self, address: str) -> str:
        """The path in the table of a file's address, or of a copy of that file: it is the last part of both."""
        return address.rpartition("/")[2]

    def schema_at(self, version: int) -> pa.Schema:
        """The columns of a version, whether or not its files are still there.

        Raises:
            LookupError: there is no such version.
        """
        table = self._open(version)
        if table is None:
            raise LookupError(f"{self.uri} has no version {version}")
        return _schema(table)

    def paths_at(self, version: int) -> frozenset[str]:
        """The paths of the files of one version, whether or not they are still there."""
        table = self._open(version)
        return frozenset() if table is None else frozenset(_sizes(table))

    def paths_named(self, *, since: int) -> frozenset[str]:
        """The paths of all files that any version names, from this one on to the newest."""
        newest = self.newest_version()
        later = range(since + 1, newest + 1) if newest is not None else ()
        return self.paths_at(since) | {
            path for version in later for path in lake_log.files_added(self.storage, version)
        }

    def checkpoint_if_late(self) -> bool:
        """Write the table down as it is, where that was not done for long, so that it opens fast."""
        table = self._open(None)
        if table is None or table.version() - (lake_log.checkpointed(self.storage) or 0) < LATE_CHECKPOINT:
            return False
        table.create_checkpoint()
        return True

    def newest_version(self) -> int | None:
        table = self._open(None)
        return None if table is None else table.version()

    def _open(self, version: int | None) -> deltalake.DeltaTable | None:
        try:
            return deltalake.DeltaTable(self.uri, version=version, storage_options=self._options())
        except exceptions.TableNotFoundError:
            return None
        except exceptions.DeltaError:
            # A version that the table does not have; with none asked for it is another fault.
            if version is None or not deltalake.DeltaTable.is_deltatable(self.uri, self._options()):
                raise
            return None

    def _committed(self, table: deltalake.DeltaTable, job_id: str) -> Committed | None:
        version = table.transaction_version(job_id)
        if version is None:
            return None
        then = self._open(version)
        if then is None:
            raise exceptions.DeltaError(f"version {version} of {self.uri} is gone, which job {job_id} made")
        contents = self._contents(then)
        rows = sum(file.rows for file in contents)
        facts = lake_log.commit_info(self.storage, version).get(FACTS, {})
        return Committed(version, rows, facts, layout(contents))

    def _must_have_committed(self, job_id: str) -> Committed:
        done = self.committed(job_id)
        if done is None:
            raise exceptions.DeltaError(f"the commit of job {job_id} succeeded and is not in {self.uri}")
        return done

    def _raise_if_overtaken(self, change: LakeChange, error: exceptions.DeltaError) -> None:
        table = self._open(None)
        if (table.version() if table else None) != change.base_version:
            raise LakeConflict(f"another commit to {self.uri} came first") from error

    def _write_log(
        self, table: deltalake.DeltaTable | None, *, job_id: str, placed: Sequence[str], change: LakeChange
    ) -> None:
        next_version = 0 if table is None else table.version() + 1
        properties = deltalake.CommitProperties(
            custom_metadata={FACTS: dict(change.facts)},
            # A retry would land on rows that the change was not computed from.
            max_commit_retries=0,
            app_transactions=[deltalake.Transaction(job_id, next_version)],
        )
        delta_schema = deltalake.Schema.from_arrow(change.schema)
        joining = [*placed, *(self.path(address) for address in change.returned)]
        actions = [self._add_action(path, data_change=not change.keeps_rows) for path in joining]
        if table is None:
            transaction.create_table_with_add_actions(
                self.uri,
                delta_schema,
                actions,
                storage_options=self._options(),
                configuration=CONFIGURATION,
                commit_properties=properties,
            )
        elif _same_columns(table, change.schema):
            table.create_write_transaction(
                [*actions, *self._remove_actions(change)], "append", delta_schema, commit_properties=properties
            )
        else:
            table.create_write_transaction([*actions], "overwrite", delta_schema, commit_properties=properties)

    def _carry_over(self, table: deltalake.DeltaTable, removed: Sequence[str], job_id: str) -> list[str]:
        """Give second names to the files that stay.

        Delta lets a commit change the schema only when it replaces all files, and a file may not leave and join in the
        same commit. A second name costs nothing: it is a hard link, or a copy made inside the object store.
        """
        gone = set(map(self.path, removed))
        carried = []
        for path in _sizes(table):
            if path in gone:
                continue
            name = _new_name(job_id)
            self.storage.name_again(path, name)
            carried.append(name)
        return carried

    def _add_action(self, path: str, *, data_change: bool) -> transaction.AddAction:
        """The file as the log describes it, with the number of its rows."""
        extent = self.storage.extent(path)
        stats = json.dumps({"numRecords": extent.rows})
        return transaction.AddAction(path, extent.size, {}, _milliseconds(), data_change=data_change, stats=stats)

    def _remove_actions(self, change: LakeChange) -> list[transaction.RemoveAction]:
        now = _milliseconds()
        return [
            transaction.RemoveAction(self.path(address), data_change=not change.keeps_rows, deletion_timestamp=now)
            for address in change.removed
        ]

    def _place(self, source: Path, job_id: str) -> str:
        """Copy a file into the table's folder under a name of its own; readers see it only once a commit names it."""
        name = _new_name(job_id)
        self.storage.place(source, name)
        return name

    def _contents(self, table: deltalake.DeltaTable) -> tuple[LakeFile, ...]:
        return tuple(LakeFile(self._address(path), *extent) for path, extent in _sizes(table).items())

    def _options(self) -> dict[str, str] | None:
        return dict(self.storage_options) if self.storage_options else None

    def _address(self, path: str) -> str:
        return f"{self.uri.rstrip('/')}/{path}"


def open_table(
    location: str, *, organisation_id: str, dataset: str, storage_options: Mapping[str, str] | None = None
) -> LakeTable:
    """The table of an organisation's dataset under the lake's location, whether or not it exists."""
    if location.startswith("file://"):
        location = location.removeprefix("file://")
    root = location.rstrip("/") if "://" in location else str(Path(location).expanduser().absolute())
    return LakeTable(f"{root}/{organisation_id}/{dataset}", dataset, storage_options)


def layout(contents: Sequence[LakeFile]) -> Layout:
    return Layout(
        files=len(contents),
        bytes=sum(file.size for file in contents),
        small_files=sum(file.is_small for file in contents),
    )


def maker_of(path: str) -> str | None:
    """The id of the job that placed a file; None for a file that no job has."""
    try:
        return str(uuid.UUID(path[:36]))
    except ValueError:
        return None


def _sizes(table: deltalake.DeltaTable) -> dict[str, tuple[int, int]]:
    """Bytes and rows of each file of the version, by its path in the table."""
    actions = pa.table(table.get_add_actions(flatten=True))
    if not actions.num_rows:
        return {}
    paths, *numbers = (actions[name].to_pylist() for name in ("path", "size_bytes", "num_records"))
    return dict(sorted(zip(paths, zip(*numbers, strict=True), strict=True)))


def _schema(table: deltalake.DeltaTable) -> pa.Schema:
    return pa.schema(table.schema().to_arrow())


def _same_columns(table: deltalake.DeltaTable, schema: pa.Schema) -> bool:
    return _types(table.schema()) == _types(deltalake.Schema.from_arrow(schema))


def _types(schema: deltalake.Schema) -> dict[str, Any]:
    return {field.name: field.type for field in schema.fields}


def _new_name(job_id: str) -> str:
    return f"{job_id}-{uuid.uuid4().hex}.parquet"


def _milliseconds() -> int:
    return time.time_ns() // 1_000_000
