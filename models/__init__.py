"""Everything that knows PostgreSQL and the lake: tables, transitions, sessions, migrations, Delta."""
