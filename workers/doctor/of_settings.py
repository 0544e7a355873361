"""Do the settings fit one another, and are the secrets secret? Judged from the environment alone."""

import ipaddress
from urllib.parse import unquote, urlsplit

from sqlalchemy.engine import make_url

from models.settings import Settings
from workers.doctor.finding import Check, Finding, Look, Verdict, judge_all

SHORTEST_PASSWORD = 8
# What images, tutorials and people in a hurry write.
WEAK_PASSWORDS = frozenset(
    {
        "admin",
        "administrator",
        "changeit",
        "changeme",
        "change-me",
        "default",
        "dev",
        "development",
        "docker",
        "example",
        "flower",
        "foobared",
        "guest",
        "letmein",
        "pass",
        "passw0rd",
        "password",
        "postgres",
        "postgresql",
        "production",
        "qwerty",
        "qwertyuiop",
        "reckoner",
        "redis",
        "root",
        "secret",
        "test",
        "testing",
        "username",
        "12345678",
        "123456789",
        "1234567890",
    }
)
# What the Delta library reaches: with two imports at once into a table, and without that having been tried.
TRIED_STORES = frozenset({"s3", "s3a"})
UNTRIED_STORES = frozenset({"gs", "az", "azure", "abfs", "abfss"})
# The audit looks again after this time at a message that is not in its list, plus three sweeps where beat stands in.
AUDIT_SECONDS = 10
# The heart writes every second, and waits for a lock for five.
SHORTEST_CALM_LEASE = 10


def examine(configured: Settings) -> list[Finding]:
    return judge_all(CHECKS, configured)


def is_local(host: str | None) -> bool:
    """Whether a server under this name can only be on this machine; None and a folder are Unix sockets."""
    if not host or host.startswith(("/", "@")) or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def database_host(configured: Settings) -> str | None:
    url = make_url(configured.sqlalchemy_url)
    asked = url.query.get("host", url.host)
    return asked if isinstance(asked, str) or asked is None else next(iter(asked))


def weakness(password: str, user: str | None) -> str | None:
    """Say what is wrong with a password, without showing it."""
    if user and password.lower() == user.lower():
        return "the same as the user's name"
    if password.lower() in WEAK_PASSWORDS:
        return "one that everybody tries first"
    if len(password) < SHORTEST_PASSWORD:
        return f"shorter than {SHORTEST_PASSWORD} characters"
    return None


def _database_password(configured: Settings) -> Look:
    if configured.uses_embedded_database:
        return Look(False, "embedded: reached through a private socket, without one")
    url = make_url(configured.sqlalchemy_url)
    if not url.password:
        return Look(False, "none in DATABASE_URL")
    fault = weakness(url.password, url.username)
    return Look(fault is not None, fault or "set")


def _redis_password(configured: Settings) -> Look:
    if configured.redis_url is None or configured.redis_url.startswith("unix://"):
        return Look(False, "reached through a socket of this machine")
    parts = urlsplit(configured.redis_url)
    if not parts.password:
        return Look(not is_local(parts.hostname), f"none, for {parts.hostname or 'this machine'}")
    fault = weakness(unquote(parts.password), parts.username)
    return Look(fault is not None, fault or "set")


def _flower_password(configured: Settings) -> Look:
    if configured.flower_password is None:
        return Look(False, "made by `reckoner up`; without one Flower does not start")
    if configured.uses_embedded_database:
        return Look(False, "set")
    fault = weakness(configured.flower_password.get_secret_value(), configured.flower_user)
    return Look(fault is not None, fault or "set")


def _failpoints(configured: Settings) -> Look:
    armed = configured.failpoints_dir is not None and not configured.uses_embedded_database
    return Look(armed, "FAILPOINTS_DIR is set" if configured.failpoints_dir is not None else "off")


def _lake(configured: Settings) -> Look:
    ours = not configured.uses_embedded_database and configured.lake_url is None
    return Look(ours, configured.lake_location if ours or configured.lake_url is None else "LAKE_URL")


def _lake_scheme(configured: Settings) -> str | None:
    """How the lake is reached, where that is not a folder."""
    scheme, separator, _ = (configured.lake_url or "").partition("://")
    return scheme.lower() if separator and scheme.lower() != "file" else None


def _lake_address(configured: Settings) -> Look:
    scheme = _lake_scheme(configured)
    return Look(scheme is not None and scheme not in TRIED_STORES | UNTRIED_STORES, f"{scheme or 'folder'}")


def _lake_store(configured: Settings) -> Look:
    scheme = _lake_scheme(configured)
    return Look(scheme in UNTRIED_STORES, f"{scheme or 'folder'}")


def _lake_retention(configured: Settings) -> Look:
    too_short = configured.lake_retention.total_seconds() <= configured.longest_limit_seconds
    seen = f"{configured.lake_retention_days} days, for jobs of at most {configured.longest_limit_seconds} s"
    return Look(too_short, seen)


def _sweep(configured: Settings) -> Look:
    lease, rescue = configured.lease_seconds, configured.rescue_seconds
    return Look(rescue > lease, f"every {rescue} s, for leases of {lease} s")


def _lease(configured: Settings) -> Look:
    return Look(configured.lease_seconds < SHORTEST_CALM_LEASE, f"{configured.lease_seconds} s")


def _stall(configured: Settings) -> Look:
    audited = AUDIT_SECONDS + 3 * configured.rescue_seconds
    seen = f"{configured.stall_seconds} s; a lost message is noticed within {audited} s"
    return Look(configured.stall_seconds <= audited, seen)


def _retention(configured: Settings) -> Look:
    jobs, results = configured.job_retention_days, configured.result_retention_days
    return Look(jobs < results, f"jobs {jobs} days, results {results} days")


CHECKS: tuple[Check[Settings], ...] = (
    Check(
        subject="password of the database",
        look=_database_password,
        why="Whoever guesses it can change every job, result and key.",
        remedy="Choose a long random one, and put it into DATABASE_URL.",
    ),
    Check(
        subject="password of Redis",
        look=_redis_password,
        why="Whoever reaches Redis can empty the queues and see which jobs exist.",
        remedy="Set requirepass or an ACL user, and put its password into REDIS_URL.",
    ),
    Check(
        subject="password of Flower",
        look=_flower_password,
        why="Flower shows the jobs of every organisation.",
        remedy="Choose a long random FLOWER_PASSWORD.",
    ),
    Check(
        subject="failpoints",
        look=_failpoints,
        why="Whoever can write into that folder can kill processes in the middle of a transaction.",
        remedy="Unset FAILPOINTS_DIR: it is for tests with the embedded database.",
    ),
    Check(
        subject="lake",
        look=_lake,
        why="It lies in a folder of this machine: workers elsewhere would each have a lake of their own.",
        remedy="Set LAKE_URL to a folder or an object store that all workers share.",
        verdict=Verdict.WARNING,
    ),
    Check(
        subject="address of the lake",
        look=_lake_address,
        why="No worker could open a table there.",
        remedy="Set LAKE_URL to a folder, or to an address that begins with s3://, gs://, az:// or abfss://.",
    ),
    Check(
        subject="store of the lake",
        look=_lake_store,
        why="Two imports at once are safe only where the store refuses to overwrite; that has been tried with S3's protocol alone.",
        remedy="Try two imports into one dataset at once before you rely on it.",
        verdict=Verdict.WARNING,
    ),
    Check(
        subject="retention of the lake",
        look=_lake_retention,
        why="The files that a long import reads could be removed under it.",
        remedy="Raise LAKE_RETENTION_DAYS.",
    ),
    Check(
        subject="rescue sweep",
        look=_sweep,
        why="A dead machine's jobs would wait for the sweep longer than for their leases.",
        remedy="Set RESCUE_SECONDS to a third of LEASE_SECONDS or less.",
        verdict=Verdict.WARNING,
    ),
    Check(
        subject="lease",
        look=_lease,
        why="A short hiccup of the database would take jobs from healthy workers; nothing is lost, but work is done again.",
        remedy="Set LEASE_SECONDS to 30.",
        verdict=Verdict.WARNING,
    ),
    Check(
        subject="patience with idle workers",
        look=_stall,
        why="A worker would be blamed, and restarted, for a message that Redis has lost and nobody has noticed yet.",
        remedy="Raise STALL_SECONDS, or lower RESCUE_SECONDS.",
        verdict=Verdict.WARNING,
    ),
    Check(
        subject="retention",
        look=_retention,
        why="Results go with their jobs, so they would be gone before their time.",
        remedy="Set JOB_RETENTION_DAYS to at least RESULT_RETENTION_DAYS.",
        verdict=Verdict.WARNING,
    ),
)
