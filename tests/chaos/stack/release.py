"""Makes the database ready for probes: `python -m tests.chaos.stack.release`.

The product's constraint on a job's kind refuses probes, which is what keeps them out of production; here it goes. The
effects of probes are kept without any constraint, so that a doubled one is seen instead of being prevented.
"""

from sqlalchemy import text

from models import migrate, session

TABLES = """
ALTER TABLE jobs DROP CONSTRAINT IF EXISTS ck_jobs_kind_is_known;
CREATE TABLE IF NOT EXISTS account (organisation_id uuid PRIMARY KEY, balance bigint NOT NULL);
CREATE TABLE IF NOT EXISTS effect_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id uuid NOT NULL,
    organisation_id uuid NOT NULL,
    attempt integer NOT NULL,
    n bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX IF NOT EXISTS ix_effect_log_job_id ON effect_log (job_id);
"""


def prepare() -> None:
    """Migrate as the product does, then add what only the tests have."""
    migrate.upgrade()
    with session.engine().begin() as connection:
        connection.execute(text(TABLES))


if __name__ == "__main__":
    prepare()
