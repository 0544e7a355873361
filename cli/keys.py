"""`reckoner keys`: make, list, rotate and revoke API keys; also how an organisation comes to be."""

import uuid
from datetime import UTC, datetime, timedelta

import click

from cli import invocation, operator_name, output, server_side
from cli.invocation import Failure
from models import api_keys, organisations
from models.api_key import ApiKey, Scope


@click.group("keys")
def command() -> None:
    """Create, list, rotate and revoke API keys."""


@command.command("create")
@click.option("--org", required=True, help="Organisation the key belongs to; made when there is none of this name.")
@click.option("--name", default="command line", show_default=True, help="What the key is for.")
@click.option(
    "--scopes",
    default=Scope.ADMIN.value,
    show_default=True,
    help=f"Comma-separated: {', '.join(s.value for s in Scope)}.",
)
@click.option("--expires-in-days", type=click.IntRange(min=1), help="Never, unless given.")
@click.option("--timezone", default="UTC", show_default=True, help="IANA zone of a new organisation.")
@click.option("--currency", default="GBP", show_default=True, help="ISO currency of a new organisation.")
def create(  # noqa: PLR0913 - one argument per option of the command
    *, org: str, name: str, scopes: str, expires_in_days: int | None, timezone: str, currency: str
) -> None:
    """Make a key. It is shown this once; only its SHA-256 is kept."""
    wanted = [_scope(text.strip()) for text in scopes.split(",")]
    expires_at = datetime.now(UTC) + timedelta(days=expires_in_days) if expires_in_days else None
    with server_side.transaction() as db:
        organisation = organisations.ensure(db, org, timezone=timezone, currency=currency)
        issued = organisations.issue_key(
            db, organisation, name=name, scopes=wanted, expires_at=expires_at, by=operator_name.name()
        )
    if invocation.current().as_json:
        output.emit_json({"id": issued.key.id, "organisation": org, "api_key": issued.secret})
    else:
        output.say(issued.secret)


@command.command("list")
@click.option("--org", help="Only this organisation's.")
def list_(org: str | None) -> None:
    """List keys: everything but the keys themselves."""
    with server_side.transaction() as db:
        organisation = organisations.find(db, org) if org else None
        if org and organisation is None:
            raise Failure(f"there is no organisation {org!r}")
        keys = organisations.list_keys(db, organisation.id if organisation else None)
    names = ("id", "organisation", "name", "prefix", "scopes", "state", "created_at", "expires_at", "last_used_at")
    output.rows(names, [_row(key) for key in keys], title="API keys")


@command.command("rotate")
@click.argument("key_id", type=click.UUID)
@click.option(
    "--overlap-hours",
    type=click.FloatRange(0, 7 * 24),
    default=24.0,
    show_default=True,
    help="For so long the secret it had works too; 0 ends it at once, as after a leak.",
)
def rotate(key_id: uuid.UUID, overlap_hours: float) -> None:
    """Give a key a new secret. It is shown this once; only its SHA-256 is kept."""
    try:
        with server_side.transaction() as db:
            issued = api_keys.rotate(db, key_id, overlap=timedelta(hours=overlap_hours))
    except api_keys.NotActiveError as error:
        raise Failure(f"the key {key_id} is revoked or expired, and stays so; create another") from error
    if issued is None:
        raise Failure(f"there is no key {key_id}")
    if invocation.current().as_json:
        output.emit_json({"id": key_id, "api_key": issued.secret})
    else:
        output.say(issued.secret)


@command.command("revoke")
@click.argument("key_id", type=click.UUID)
def revoke(key_id: uuid.UUID) -> None:
    """Make a key useless from now on."""
    with server_side.transaction() as db:
        if not organisations.revoke_key(db, key_id, by=operator_name.name()):
            raise Failure(f"there is no key {key_id}, or it is revoked already")
    if invocation.current().as_json:
        output.emit_json({"id": key_id, "revoked": True})
    else:
        output.say("revoked")


def _scope(text: str) -> Scope:
    try:
        return Scope(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is not one of {', '.join(scope.value for scope in Scope)}", param_hint="--scopes"
        ) from None


def _row(key: ApiKey) -> list[str]:
    return [
        str(key.id),
        key.organisation.name,
        key.name,
        f"{key.prefix}…",
        ",".join(key.scopes),
        _state(key),
        *(_minute(moment) for moment in (key.created_at, key.expires_at, key.last_used_at)),
    ]


def _minute(moment: datetime | None) -> str:
    return moment.isoformat(timespec="minutes") if moment is not None else ""


def _state(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None and key.expires_at <= datetime.now(UTC):
        return "expired"
    return "valid"
