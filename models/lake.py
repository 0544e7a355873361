"""The customer data: one Delta table per organisation and dataset, read as versions and changed by whole commits.

Only workers import this module. A commit is made against the version its files were computed from; where somebody else
was faster it fails as `LakeConflict` and changes nothing, so no import is lost or applied to rows it never saw.
"""

import json
import os
import shutil
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import exceptions, transaction
from deltalake.fs import fs_handler

# The entry of a commit's metadata that holds what the importer wants to know again.
FACTS = "reckoner"
CONFIGURATION = {
    # Reports are pinned to versions; expiring the log would take away the means to open one.
    "delta.enableExpiredLogCleanup": "false",
}


class LakeConflict(Exception):  # noqa: N818 - the name says what happened
    """Another commit came first; compute the change again on the version that is there now. Transient."""


@dataclass(frozen=True, slots=True)
class LakeSnapshot:
    """One version of a table.

    Attributes:
        files: paths or addresses of the Parquet files; older ones may lack columns that were added later.
        schema: the columns of the table at that version.
    """

    dataset: str
    version: int
    files: tuple[str, ...]
    row_count: int
    schema: pa.Schema


@dataclass(frozen=True, slots=True)
class LakeChange:
    """The next version of a table.

    Attributes:
        base: the version the change was computed from; None where there was no table.
        added: local Parquet files, copied into the table.
        removed: files of `base` that leave the table.
        schema: all columns of the table from then on.
        facts: JSON values that `committed` gives back.
    """

    base: LakeSnapshot | None
    added: tuple[Path, ...]
    removed: tuple[str, ...]
    schema: pa.Schema
    facts: Mapping[str, Any]

    @property
    def base_version(self) -> int | None:
        return self.base.version if self.base else None


@dataclass(frozen=True, slots=True)
class Committed:
    """A job's commit: the version it made, the rows the table then had, and the facts stored with it."""

    version: int
    row_count: int
    facts: Mapping[str, Any]


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

    def snapshot(self, version: int | None = None) -> LakeSnapshot | None:
        """The newest version or the given one; None where there is no such table or version."""
        table = self._open(version)
        if table is None:
            return None
        files = _files(table)
        return LakeSnapshot(
            dataset=self.dataset,
            version=table.version(),
            files=tuple(self._address(path) for path in files),
            row_count=sum(files.values()),
            schema=_schema(table),
        )

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
        try:
            self._write_log(table, job_id=job_id, placed=placed, change=change)
        except exceptions.DeltaError as error:
            # The answer may have been lost on its way, so the table is asked.
            if (landed := self.committed(job_id)) is not None:
                return landed
            for path in placed:
                self._discard(path)
            self._raise_if_overtaken(change, error)
            raise
        self._sync_log()
        return self._must_have_committed(job_id)

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
        entry = then.history(1)[0]
        return Committed(version, sum(_files(then).values()), entry.get(FACTS) or {})

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
        actions = [self._add_action(path) for path in placed]
        if table is None:
            transaction.create_table_with_add_actions(
                self.uri,
                delta_schema,
                actions,
                storage_options=self._options(),
                configuration=CONFIGURATION,
                commit_properties=properties,
            )
        elif set(change.schema.names) == set(_schema(table).names):
            table.create_write_transaction(
                [*actions, *self._remove_actions(change.removed)], "append", delta_schema, commit_properties=properties
            )
        else:
            carried = self._carried_over(table, change.removed, job_id)
            table.create_write_transaction(
                [*actions, *carried], "overwrite", delta_schema, commit_properties=properties
            )

    def _carried_over(
        self, table: deltalake.DeltaTable, removed: Sequence[str], job_id: str
    ) -> list[transaction.AddAction]:
        """Files that stay, under second names.

        Delta lets a commit change the schema only when it replaces all files, and a file may not leave and join in the
        same commit. A second name costs nothing: it is a hard link, or a copy made inside the object store.
        """
        gone = set(removed)
        carried = []
        for path in _files(table):
            if self._address(path) in gone:
                continue
            name = _new_name(job_id)
            if self._is_local:
                Path(self._address(name)).hardlink_to(self._address(path))
                _sync_folder(Path(self.uri))
            else:
                self._store().copy_file(path, name)
            carried.append(self._add_action(name))
        return carried

    def _add_action(self, path: str) -> transaction.AddAction:
        """The file as the log describes it, with the number of its rows."""
        if self._is_local:
            size = Path(self._address(path)).stat().st_size
            rows = pq.read_metadata(self._address(path)).num_rows
        else:
            with pa.PythonFile(self._store().open_input_file(path), mode="r") as file:
                size, rows = file.size(), pq.read_metadata(file).num_rows
        now = time.time_ns() // 1_000_000
        return transaction.AddAction(path, size, {}, now, data_change=True, stats=json.dumps({"numRecords": rows}))

    def _remove_actions(self, removed: Sequence[str]) -> list[transaction.RemoveAction]:
        now = time.time_ns() // 1_000_000
        prefix = self._address("")
        return [
            transaction.RemoveAction(address.removeprefix(prefix), data_change=True, deletion_timestamp=now)
            for address in removed
        ]

    def _place(self, source: Path, job_id: str) -> str:
        """Copy a file into the table's folder under a name of its own; readers see it only once a commit names it."""
        name = _new_name(job_id)
        if self._is_local:
            folder = Path(self.uri)
            folder.mkdir(parents=True, exist_ok=True)
            _link_or_copy(source, folder / name)
            _sync_folder(folder)
        else:
            self._upload(source, name)
        return name

    def _upload(self, source: Path, name: str) -> None:
        stream = self._store().open_output_stream(name)
        with source.open("rb") as file:
            while piece := file.read(8 * 1024**2):
                stream.write(piece)
        stream.close()

    def _discard(self, path: str) -> None:
        if self._is_local:
            Path(self._address(path)).unlink(missing_ok=True)
        else:
            self._store().delete_file(path)

    def _store(self) -> Any:
        # The handler below PyArrow's file system: PyArrow hands it buffers, and it wants bytes.
        return fs_handler.DeltaStorageHandler(self.uri, self._options())._handler  # noqa: SLF001 - see above

    def _sync_log(self) -> None:
        if self._is_local:
            log = Path(self.uri) / "_delta_log"
            _sync_file(max(log.glob("*.json")))
            _sync_folder(log)

    def _options(self) -> dict[str, str] | None:
        return dict(self.storage_options) if self.storage_options else None

    @property
    def _is_local(self) -> bool:
        return "://" not in self.uri

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


def _files(table: deltalake.DeltaTable) -> dict[str, int]:
    """Rows of each file of the version, by its path in the table."""
    actions = pa.table(table.get_add_actions(flatten=True))
    if not actions.num_rows:
        return {}
    paths, counts = actions["path"].to_pylist(), actions["num_records"].to_pylist()
    return dict(sorted(zip(paths, counts, strict=True)))


def _schema(table: deltalake.DeltaTable) -> pa.Schema:
    return pa.schema(table.schema().to_arrow())


def _new_name(job_id: str) -> str:
    return f"{job_id}-{uuid.uuid4().hex}.parquet"


def _link_or_copy(source: Path, target: Path) -> None:
    """The same bytes under another name, on disk before anything refers to them."""
    try:
        target.hardlink_to(source)
    except OSError:
        # Another file system, or one without links. A copy that is cut short never gets the target's name.
        partial = target.with_suffix(".partial")
        shutil.copyfile(source, partial)
        _sync_file(partial)
        partial.rename(target)
    else:
        _sync_file(target)


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
