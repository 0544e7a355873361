"""The history of the schema, and what its steps share."""
