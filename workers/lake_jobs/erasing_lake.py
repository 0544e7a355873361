"""The lake's part of an erasure: new versions without the person's rows, old versions closed, files removed, and a last look.

It goes by what is there, not by what it remembers: whatever an attempt before this one has left undone is found again.
"""

import os
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.orm import Session

from analytics.datasets import persons
from models import dataset, erasure, failpoints, session, settings
from models.base import Json
from models.failpoints import Point
from workers.lake_jobs import committing
from workers.running_job import RunningJob

if TYPE_CHECKING:
    from analytics.datasets import erasing as rows
    from models import lake, lake_storage

# A file that is older than its job's attempt by this much was left by an attempt that died; clocks may differ a little.
CLOCKS_DIFFER_SECONDS = 300.0
# Files may be removed by upkeep between a look at the folder and the reading of them.
LOOKS = 5
LOOK_AGAIN_SECONDS = 0.2

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class View:
    """One table as it is, and where in it the person is.

    Attributes:
        found: rows of the person in all files that lie in the table's folder.
        holding: paths of the files that have such rows.
        closing: versions that may be read now and have a file of those.
        removable: bytes of the files that can go, by path: no version needs them but such as are closed.
        sizes: bytes of every file, by path.
    """

    table: "lake.LakeTable"
    newest: "lake.LakeSnapshot | None"
    found: "rows.Found"
    holding: frozenset[str]
    closing: tuple[int, ...]
    removable: Mapping[str, int]
    sizes: Mapping[str, int]
    files_read: int

    @property
    def held_now(self) -> tuple[str, ...]:
        """The addresses of the newest version's files with rows of the person."""
        return tuple(file for file in self._newest_files if self.table.path(file) in self.holding)

    @property
    def rows_now(self) -> dict[str, int]:
        """Rows of the person in the newest version, by the column that tells."""
        return self.found.by_column(set(self._newest_files))

    @property
    def is_clean(self) -> bool:
        return not (self.held_now or self.closing or self.removable)

    @property
    def _newest_files(self) -> tuple[str, ...]:
        return self.newest.files if self.newest is not None else ()


@dataclass(frozen=True, slots=True)
class _Listing:
    """What lies in a table's folder, and which versions name which of it."""

    table: "lake.LakeTable"
    stored: Mapping[str, "lake_storage.Stored"]
    in_flight: frozenset[str]
    newest: "lake.LakeSnapshot | None"
    versions: Mapping[int, frozenset[str]]

    @property
    def named(self) -> frozenset[str]:
        return frozenset().union(*self.versions.values())

    @property
    def files(self) -> list[str]:
        """Addresses of all files that can be read, whether or not a version names them."""
        return [f"{self.table.uri}/{path}" for path in sorted(self.stored) if path not in self.cut_short]

    @property
    def cut_short(self) -> frozenset[str]:
        """Paths of what was half-written, and so is named by nothing."""
        from analytics.datasets import erasing as rows  # noqa: PLC0415 - heavy

        return frozenset(
            path
            for path in self.stored.keys() - self.named
            if not (path.endswith(".parquet") and rows.is_readable(f"{self.table.uri}/{path}"))
        )


@dataclass(frozen=True, slots=True)
class Look:
    """All tables as they are, and the person's own records by dataset, by which rows of others belong to them."""

    views: Mapping[str, View]
    own: Mapping[str, Iterable[str]]

    @property
    def dirty(self) -> list[View]:
        return [view for view in self.views.values() if not view.is_clean]


def look(job: RunningJob, finder: "rows.Finder", known: Iterable[Mapping[str, Iterable[str]]]) -> Look:
    """Look for the person in every file of every table. `known` are records of theirs that may be gone already."""
    for looks_left in reversed(range(LOOKS)):
        try:
            return _look(job, finder, list(known))
        except committing.files_vanished():
            if not looks_left:
                raise
            log.info("a file was removed while this looked; looking again")
            time.sleep(LOOK_AGAIN_SECONDS)
    raise AssertionError


def _look(job: RunningJob, finder: "rows.Finder", known: list[Mapping[str, Iterable[str]]]) -> Look:
    listings: dict[str, _Listing] = {}
    for name in persons.TRACES:
        job.progress("look", len(listings), len(persons.TRACES))
        listings[name] = _list(job, committing.open_table(job, name))
    files = {name: listing.files for name, listing in listings.items()}
    own = {
        parent: finder.own_records(
            parent,
            files=files[parent],
            newest=newest.files if (newest := listings[parent].newest) is not None else (),
            known={record for source in known for record in source.get(parent, ())},
        )
        for parent in persons.PARENTS
    }
    finder.know(own)
    return Look({name: _view(listing, finder, files[name]) for name, listing in listings.items()}, own)


def _list(job: RunningJob, table: "lake.LakeTable") -> _Listing:
    """List the folder first, then the running jobs, then the log: a job that commits meanwhile is seen by one of them."""
    stored = {file.path: file for file in table.storage.listing() if not _is_mark(file.path)}
    with session.transaction() as db:
        running = erasure.seconds_running(db, job.organisation_id)
        kept = erasure.kept_versions(db, job.organisation_id, table.dataset)
    newest = table.snapshot()
    versions: dict[int, frozenset[str]] = {}
    if newest is not None:
        # What the lake has and the database does not know yet counts too.
        unknown = range(max(kept, default=-1) + 1, newest.version + 1)
        versions = {version: table.paths_at(version) for version in {*kept, *unknown} if version <= newest.version}
        versions[newest.version] = frozenset(map(table.path, newest.files))
    named = frozenset().union(*versions.values())
    in_flight = frozenset(path for path, file in stored.items() if path not in named and _is_in_flight(file, running))
    return _Listing(table, stored, in_flight, newest, versions)


def _view(listing: _Listing, finder: "rows.Finder", files: list[str]) -> View:
    found = finder.find(listing.table.dataset, files)
    holding = frozenset(map(listing.table.path, found.by_file))
    newest = listing.newest
    now = listing.versions[newest.version] if newest is not None else frozenset()
    closing = tuple(sorted(version for version, paths in listing.versions.items() if paths & holding))
    gone = (holding | listing.cut_short) - listing.in_flight - now
    return View(
        table=listing.table,
        newest=newest,
        found=found,
        holding=holding,
        closing=closing,
        removable={path: listing.stored[path].size for path in sorted(gone)},
        sizes={path: file.size for path, file in listing.stored.items()},
        files_read=len(files),
    )


def replace(job: RunningJob, view: View, finder: "rows.Finder", folder: Path) -> bool:
    """Make a version without the person's rows where the newest has some; False: another job was faster, look again.

    One application transaction for each such version: the job's id, and for what came back meanwhile the id and a number.
    """
    from models import lake  # noqa: PLC0415 - heavy

    if view.newest is None or not view.held_now:
        return True
    try:
        added = finder.rewrite(view.table.dataset, view.held_now, folder / uuid.uuid4().hex)
    except committing.files_vanished():
        if view.table.newest_version() == view.newest.version:
            raise
        log.info("another erasure was faster; looking again")
        return False
    matched = view.rows_now
    change = lake.LakeChange(
        base=view.newest,
        added=added,
        removed=view.held_now,
        schema=view.newest.schema,
        facts={"erased": {"rows": sum(matched.values()), "matched": matched}},
    )
    failpoints.hit(Point.LAKE_BEFORE_COMMIT)
    try:
        view.table.commit(_transaction(job, len(commits(job, view.table))), change)
    except lake.LakeConflict:
        log.info("another job was faster; looking again")
        return False
    job.took_effect()
    failpoints.hit(Point.LAKE_AFTER_COMMIT)
    return True


def commits(job: RunningJob, table: "lake.LakeTable") -> list["lake.Committed"]:
    """Return what this job has committed to a table, by whichever attempt, in order."""
    made: list[lake.Committed] = []
    while (done := table.committed(_transaction(job, len(made)))) is not None:
        made.append(done)
    return made


def close(job: RunningJob, view: View) -> None:
    """Let nothing new read the versions with rows of the person; reports that wait for the newest get its successor.

    All in one transaction: nobody ever finds the newest version closed and no other in its place.
    """
    made = commits(job, view.table)
    if not view.closing and not made:
        return
    name, organisation = view.table.dataset, job.organisation_id
    with session.transaction() as db:
        for done in made:
            _record(db, job, view, done)
        erasure.close_versions(db, organisation, name, view.closing)
        erasure.note(db, job.id, lambda journal: journal.close(name, view.closing))
        for done in made:
            erasure.move_pins(db, organisation, name, before=[done.version - 1], after=done.version)


def remove(job: RunningJob, view: View) -> None:
    """Remove the files that only closed versions need, under every name they have; what goes is noted first.

    To be called when the versions are closed and nothing reads them any more.
    """
    sizes = {**view.removable, **{view.table.path(file): view.sizes[view.table.path(file)] for file in view.held_now}}
    if view.newest is not None:
        # A restore that had begun before its version was closed may have brought a file back. The next look finds it.
        replaced = bool(view.held_now)
        needed = view.table.paths_named(since=view.newest.version + replaced)
        sizes = {path: size for path, size in sizes.items() if path not in needed}
    if not sizes:
        return
    job.took_effect()
    with session.transaction() as db:
        erasure.note(db, job.id, lambda journal: journal.remove(view.table.dataset, sizes))
    for path in sizes:
        _discard(view.table, path)


def outcome(job: RunningJob, journal: erasure.Journal, view: View) -> Json:
    """Say of one dataset what the whole job has removed from it."""
    made = commits(job, view.table)
    newest = view.newest.version if view.newest is not None else None
    matched: dict[str, int] = {}
    for done in made:
        for column, count in done.facts["erased"]["matched"].items():
            matched[column] = matched.get(column, 0) + count
    files = journal.files.get(view.table.dataset, {})
    return {
        "dataset": view.table.dataset,
        "rows_removed": sum(matched.values()),
        "matched": matched,
        "version_before": made[0].version - 1 if made else newest,
        "version_after": made[-1].version if made else newest,
        "versions_made_unreadable": sorted(journal.versions.get(view.table.dataset, ())),
        "files_removed": len(files),
        "bytes_removed": sum(files.values()),
    }


def _record(db: Session, job: RunningJob, view: View, done: "lake.Committed") -> None:
    from analytics.datasets import stored  # noqa: PLC0415 - heavy

    if view.newest is None:
        return
    dataset.record(
        db,
        dataset.DatasetVersion(
            organisation_id=job.organisation_id,
            dataset=view.table.dataset,
            version=done.version,
            row_count=done.row_count,
            columns=dict(stored.columns(view.newest.schema)),
            job_id=job.id,
            file_count=done.layout.files,
            byte_count=done.layout.bytes,
            small_file_count=done.layout.small_files,
        ),
    )


def _transaction(job: RunningJob, number: int) -> str:
    return f"{job.id}.{number}" if number else str(job.id)


def _is_mark(path: str) -> bool:
    """Whether a file is one of those that only tell the time of the folder."""
    return path.startswith(".now-")


def _is_in_flight(file: "lake_storage.Stored", running: Mapping[uuid.UUID, float]) -> bool:
    """Whether the attempt that placed a file may still commit it. Only running jobs commit."""
    from models import lake  # noqa: PLC0415 - heavy

    maker = lake.maker_of(file.path)
    seconds = running.get(uuid.UUID(maker)) if maker is not None else None
    return seconds is not None and file.age_seconds < seconds + CLOCKS_DIFFER_SECONDS


def _discard(table: "lake.LakeTable", path: str) -> None:
    """Remove a file, and the second names by which jobs that died may still hold it in their scratch folders."""
    from models import lake_storage  # noqa: PLC0415 - heavy

    if not isinstance(table.storage, lake_storage.Folder):
        table.storage.discard(path)
        return
    try:
        with (table.storage.root / path).open("rb") as file:
            table.storage.discard(path)
            at = os.fstat(file.fileno())
    except FileNotFoundError:
        return
    if at.st_nlink:
        _unlink_in(settings.load().scratch_folder, at.st_dev, at.st_ino)


def _unlink_in(folder: Path, device: int, inode: int) -> None:
    for path in folder.glob("**/*.parquet"):
        try:
            at = path.stat()
        except FileNotFoundError:
            continue
        if (at.st_dev, at.st_ino) == (device, inode):
            path.unlink(missing_ok=True)
