"""Adds triggers that report changes to users, sessions, roles and signing keys.

PostgreSQL notifies listeners. SQLite stores the last thousand changes. A change of many rows is
reported as one change of everything.
"""

from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"

_OF_A_USER = {
    "users": ("id", ("UPDATE", "DELETE")),
    "sessions": ("user_id", ("INSERT", "UPDATE", "DELETE")),
    "user_roles": ("user_id", ("INSERT", "DELETE")),
}
_OF_EVERYBODY = {
    "user_roles": ("UPDATE",),
    "roles": ("UPDATE", "DELETE"),
    "role_permissions": ("INSERT", "UPDATE", "DELETE"),
    "signing_keys": ("INSERT", "UPDATE", "DELETE"),
}
_PAST = {"INSERT": "added", "UPDATE": "updated", "DELETE": "deleted"}


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        _upgrade_postgresql()
    else:
        _upgrade_sqlite()


def _upgrade_postgresql() -> None:
    op.execute(
        """
        CREATE FUNCTION postern_user_changed() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
          users uuid[];
          changed_user uuid;
        BEGIN
          IF TG_TABLE_NAME = 'users' THEN
            users := ARRAY(SELECT DISTINCT id FROM changed LIMIT 101);
          ELSE
            users := ARRAY(SELECT DISTINCT user_id FROM changed LIMIT 101);
          END IF;
          IF cardinality(users) > 100 THEN
            PERFORM pg_notify('postern_changes', '*');
          ELSE
            FOREACH changed_user IN ARRAY users LOOP
              PERFORM pg_notify('postern_changes', changed_user::text);
            END LOOP;
          END IF;
          RETURN NULL;
        END $$
        """
    )
    op.execute(
        """
        CREATE FUNCTION postern_everything_changed() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          PERFORM pg_notify('postern_changes', '*');
          RETURN NULL;
        END $$
        """
    )
    for table, (_, events) in _OF_A_USER.items():
        for event in events:
            rows = "NEW" if event == "INSERT" else "OLD"
            op.execute(
                f"CREATE TRIGGER postern_{table}_{_PAST[event]} AFTER {event} ON {table}"
                f" REFERENCING {rows} TABLE AS changed"
                " FOR EACH STATEMENT EXECUTE FUNCTION postern_user_changed()"
            )
    for table, events in _OF_EVERYBODY.items():
        for event in events:
            op.execute(
                f"CREATE TRIGGER postern_{table}_{_PAST[event]} AFTER {event} ON {table}"
                " FOR EACH STATEMENT EXECUTE FUNCTION postern_everything_changed()"
            )
    for table in _OF_A_USER | _OF_EVERYBODY:
        op.execute(
            f"CREATE TRIGGER postern_{table}_truncated AFTER TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION postern_everything_changed()"
        )


def _upgrade_sqlite() -> None:
    op.execute(
        "CREATE TABLE changes (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, user_id CHAR(32))"
    )
    op.execute(
        "CREATE TRIGGER postern_changes_pruned AFTER INSERT ON changes BEGIN"
        " DELETE FROM changes WHERE id <= NEW.id - 1000; END"
    )
    for table, (column, events) in _OF_A_USER.items():
        for event in events:
            _tell_on_sqlite(table, event, ("NEW." if event == "INSERT" else "OLD.") + column)
    for table, events in _OF_EVERYBODY.items():
        for event in events:
            _tell_on_sqlite(table, event, "NULL")


def _tell_on_sqlite(table: str, event: str, user_id: str) -> None:
    op.execute(
        f"CREATE TRIGGER postern_{table}_{_PAST[event]} AFTER {event} ON {table} BEGIN"
        f" INSERT INTO changes (user_id) VALUES ({user_id}); END"
    )
