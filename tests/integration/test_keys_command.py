"""`reckoner keys`: what the operator does to keys, against a real database."""

import getpass
import json
import uuid

import pytest
from click.testing import CliRunner, Result

from cli import main
from models import organisations, session

pytestmark = pytest.mark.usefixtures("database")

OPERATOR = f"operator {getpass.getuser()}"


@pytest.fixture
def name() -> str:
    return f"org {uuid.uuid4()}"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main.main, ["keys", *arguments])


def works(secret: str) -> bool:
    with session.statement() as db:
        return organisations.find_valid_key(db, secret) is not None


def create(name: str, *more: str) -> dict[str, str]:
    done = run("create", "--org", name, "--json", *more)
    assert done.exit_code == 0, done.output
    made: dict[str, str] = json.loads(done.output)
    return made


def listed(name: str) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = json.loads(run("list", "--org", name, "--json").output)
    return rows


def test_a_key_is_made_listed_and_revoked(name: str) -> None:
    made = create(name, "--scopes", "reports:read, webhooks", "--expires-in-days", "3", "--name", "books")
    assert works(made["api_key"])
    (row,) = listed(name)
    assert (row["name"], row["scopes"], row["state"]) == ("books", "reports:read,webhooks", "valid")
    assert row["expires_at"] > row["created_at"]
    assert made["api_key"] not in json.dumps(row)
    assert run("revoke", made["id"]).output == "revoked\n"
    assert not works(made["api_key"])
    assert listed(name)[0]["state"] == "revoked"
    again = run("revoke", made["id"])
    assert again.exit_code == 1
    assert "revoked already" in again.output


def test_an_old_secret_works_for_as_long_as_was_said(name: str) -> None:
    made = create(name)
    second = json.loads(run("rotate", made["id"], "--json").output)
    assert second["id"] == made["id"]
    assert works(made["api_key"])
    assert works(second["api_key"])
    third = run("rotate", made["id"], "--overlap-hours", "0").output.strip()
    assert [works(secret) for secret in (made["api_key"], second["api_key"], third)] == [False, False, True]


def test_what_cannot_be_rotated(name: str) -> None:
    nobodys = run("rotate", str(uuid.uuid4()))
    assert nobodys.exit_code == 1
    assert "there is no key" in nobodys.output
    made = create(name)
    run("revoke", made["id"])
    revoked = run("rotate", made["id"])
    assert revoked.exit_code == 1
    assert "create another" in revoked.output


def test_the_operator_is_named(name: str) -> None:
    made = create(name)
    run("revoke", made["id"])
    with session.transaction() as db:
        (key,) = organisations.list_keys(db, organisations.ensure(db, name).id)
    assert (key.created_by, key.revoked_by) == (OPERATOR, OPERATOR)
