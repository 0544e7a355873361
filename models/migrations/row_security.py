"""Row-level security for a table of customers' rows: whoever is not the owner sees the rows of one organisation, or none.

A migration that makes a table with an organisation's rows in it calls `protect`, or `protect_through` where the row that it
hangs on says whose it is. A test finds the tables that were forgotten. The rights of the web's role are granted after every
migration by `models.web_role`, so that none can forget those either.
"""

from alembic import op

POLICY = "one_organisation"


def protect(table: str, *, by: str = "organisation_id") -> None:
    """Show and take only rows whose column `by` is the organisation that the transaction is for."""
    _protect(table, f'"{by}" = asking_organisation()')


def protect_through(table: str, *, by: str, parent: str, key: str = "id") -> None:
    """Show and take only rows that hang on a row of `parent` which is itself shown: `by` is its `key`."""
    _protect(table, f'EXISTS (SELECT FROM "{parent}" AS parent WHERE parent."{key}" = "{table}"."{by}")')


def unprotect(table: str) -> None:
    """Undo either. A table that is dropped takes its policy with it."""
    op.execute(f'DROP POLICY {POLICY} ON "{table}"')
    op.execute(f'ALTER TABLE "{table}" DISABLE ROW LEVEL SECURITY')


def _protect(table: str, condition: str) -> None:
    op.execute(f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY')
    # Without WITH CHECK the same holds for what is written.
    op.execute(f'CREATE POLICY {POLICY} ON "{table}" USING ({condition})')
