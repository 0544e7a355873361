"""Alembic's entry: runs the migrations on the connection `models.migrate` gives it."""

from alembic import context

from models import tables

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=tables.Base.metadata, compare_server_default=False)
context.run_migrations()
