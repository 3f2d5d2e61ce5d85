"""Adds the built-in roles: admin, support, auditor and user."""

from uuid import UUID

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"

# Fixed IDs, so that each role has the same ID in every installation.
_ROLES = {
    "admin": (UUID(int=0x01900000_0000_7000_8000_000000000001), "May do everything.", ["*"]),
    "support": (
        UUID(int=0x01900000_0000_7000_8000_000000000002),
        "Looks accounts up and ends sessions.",
        ["users:read", "sessions:revoke"],
    ),
    "auditor": (
        UUID(int=0x01900000_0000_7000_8000_000000000003),
        "Reads accounts and the audit trail, changes nothing.",
        ["users:read", "audit:read"],
    ),
    "user": (
        UUID(int=0x01900000_0000_7000_8000_000000000004),
        "An ordinary account.",
        [],
    ),
}


def upgrade() -> None:
    roles = sa.table(
        "roles",
        sa.column("id", sa.Uuid),
        sa.column("name", sa.String),
        sa.column("description", sa.String),
        sa.column("built_in", sa.Boolean),
    )
    role_permissions = sa.table(
        "role_permissions", sa.column("role_id", sa.Uuid), sa.column("permission", sa.String)
    )
    op.bulk_insert(
        roles,
        [
            {"id": id_, "name": name, "description": description, "built_in": True}
            for name, (id_, description, _) in _ROLES.items()
        ],
    )
    op.bulk_insert(
        role_permissions,
        [
            {"role_id": id_, "permission": permission}
            for id_, _, permissions in _ROLES.values()
            for permission in permissions
        ],
    )
