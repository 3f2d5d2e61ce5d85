"""The environment of Alembic and the revisions."""
