"""Custom roles: create, change and delete them.

The name of a role never changes. The name of a deleted role can be used again only by a user who
has all permissions that the role granted. Other programs trust the role names in access tokens.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from auth.audit import Action, join_detail
from auth.authorization import Operation, authorized, check_has_privileges
from auth.errors import (
    EditConflict,
    PermissionUnknown,
    Refusal,
    Refusals,
    RoleBuiltIn,
    RoleDescriptionInvalid,
    RoleInUse,
    RoleNameFixed,
    RoleNameInvalid,
    RoleNameTaken,
    RoleNotFound,
    as_field,
)
from auth.permissions import Actor, Permission, PermissionRegistry, check_may
from auth.records import WITH_PERMISSIONS, RoleRecord
from auth.wiring import Auth
from models.retired_role_name import RetiredRoleName
from models.role import Role, RolePermission, UserRole

DESCRIPTION_MAX_LENGTH = 200

_NAME = re.compile(r"[a-z][a-z0-9_-]{1,63}")
# Serializes edits. Each one locks the roles of its actor and then the role that it changes, so
# concurrent edits could deadlock.
_LOCK = "roles"


@dataclass(frozen=True, slots=True)
class RoleForm:
    """The fields of a role as the client sends them.

    None keeps the value; in a new role it is empty. `unknown_permissions` lists the stored
    permissions to keep that this process does not know.
    """

    name: str | None = None
    description: str | None = None
    permissions: Sequence[str] | None = None
    unknown_permissions: Sequence[str] | None = None


async def create_role(auth: Auth, actor: Actor, form: RoleForm) -> RoleRecord:
    """Creates a role. The actor must have all permissions that it grants.

    Raises Forbidden, RoleNameTaken, and Refusals with all errors of the form.
    """
    check_may(actor, Permission.ROLES_WRITE)
    _check_form(auth, form)
    if form.name is None:
        raise RoleNameInvalid
    wanted = frozenset(form.permissions or ())
    try:
        async with authorized(
            auth, actor, Action.ROLE_CREATED, Permission.ROLES_WRITE, lock=_LOCK
        ) as operation:
            tx = operation.tx
            row = Role(name=form.name, description=form.description or "", built_in=False)
            former = await tx.get(RetiredRoleName, row.name)
            privileges = auth.permissions.privileges(
                row.name, wanted.union(former.granted if former else ())
            )
            check_has_privileges(operation.actor, privileges)
            tx.add(row)
            await tx.flush()
            await _add_permissions(tx, row.id, wanted)
            _add_details(operation, row, before=frozenset(), after=wanted)
            return RoleRecord.of(await _get(tx, row.id), auth.permissions)
    except IntegrityError:
        raise RoleNameTaken from None


async def update_role(
    auth: Auth, actor: Actor, role_id: UUID, form: RoleForm, version: int | None = None
) -> RoleRecord:
    """Changes a role. The change applies at once to all users who have the role.

    Raises Forbidden, RoleNotFound, RoleBuiltIn, EditConflict, RoleNameFixed, and Refusals.
    """
    check_may(actor, Permission.ROLES_WRITE)
    _check_form(auth, form)
    async with authorized(
        auth, actor, Action.ROLE_EDITED, Permission.ROLES_WRITE, lock=_LOCK
    ) as operation:
        tx = operation.tx
        row = await _get_custom(tx, role_id)
        if version is not None and version != row.version:
            raise EditConflict
        before = _granted(row)
        after = _granted_by_form(auth.permissions, before, form)
        check_has_privileges(operation.actor, auth.permissions.privileges(row.name, before | after))
        if form.name not in {None, row.name}:
            raise RoleNameFixed
        description = row.description if form.description is None else form.description
        operation.changed = (description, after) != (row.description, before)
        if operation.changed:
            if description != row.description:
                operation.details["changed"] = "description"
            row.version, row.description = row.version + 1, description
            await _replace_permissions(tx, role_id, before, after)
            _add_details(operation, row, before=before, after=after)
        await tx.flush()
        return RoleRecord.of(await _get(tx, role_id), auth.permissions)


async def delete_role(auth: Auth, actor: Actor, role_id: UUID) -> UUID:
    """Deletes an unused role. Raises Forbidden, RoleNotFound, RoleBuiltIn, RoleInUse."""
    check_may(actor, Permission.ROLES_WRITE)
    async with authorized(
        auth, actor, Action.ROLE_DELETED, Permission.ROLES_WRITE, lock=_LOCK
    ) as operation:
        tx = operation.tx
        row = await _get_custom(tx, role_id)
        granted = _granted(row)
        check_has_privileges(operation.actor, auth.permissions.privileges(row.name, granted))
        held = select(UserRole.user_id).where(UserRole.role_id == role_id).limit(1)
        if await tx.scalar(held):
            raise RoleInUse
        _add_details(operation, row, before=granted, after=frozenset())
        await _retire_name(tx, row.name, granted)
        await tx.delete(row)
    return role_id


async def _retire_name(tx: AsyncSession, name: str, granted: frozenset[str]) -> None:
    former = await tx.get(RetiredRoleName, name)
    if former is None:
        tx.add(RetiredRoleName(name=name, granted=sorted(granted)))
    else:
        former.granted = sorted(granted.union(former.granted))


def _granted(row: Role) -> frozenset[str]:
    return frozenset(p.permission for p in row.permissions)


def _granted_by_form(
    registry: PermissionRegistry, before: frozenset[str], form: RoleForm
) -> frozenset[str]:
    """Returns what the role grants after the edit. Raises PermissionUnknown."""
    unknown = registry.unknown(before)
    kept = unknown if form.unknown_permissions is None else frozenset(form.unknown_permissions)
    if not kept <= unknown:
        with as_field("unknown_permissions"):
            raise PermissionUnknown
    known = before - unknown if form.permissions is None else frozenset(form.permissions)
    return known | kept


async def _replace_permissions(
    tx: AsyncSession, role_id: UUID, before: frozenset[str], after: frozenset[str]
) -> None:
    removed = before - after
    if removed:
        of_role = RolePermission.role_id == role_id
        await tx.execute(
            delete(RolePermission).where(of_role, RolePermission.permission.in_(removed))
        )
    await _add_permissions(tx, role_id, after - before)


async def _add_permissions(tx: AsyncSession, role_id: UUID, permissions: frozenset[str]) -> None:
    if permissions:
        rows = [{"role_id": role_id, "permission": p} for p in sorted(permissions)]
        await tx.execute(insert(RolePermission), rows)


async def _get_custom(tx: AsyncSession, role_id: UUID) -> Role:
    row = await _get(tx, role_id)
    if row.built_in:
        raise RoleBuiltIn
    return row


async def _get(tx: AsyncSession, role_id: UUID) -> Role:
    query = select(Role).where(Role.id == role_id).options(WITH_PERMISSIONS).with_for_update()
    row = await tx.scalar(query, execution_options={"populate_existing": True})
    if row is None:
        with as_field("role_id"):
            raise RoleNotFound
    return row


def _check_form(auth: Auth, form: RoleForm) -> None:
    refusals: list[Refusal] = []
    if form.name is not None and not _NAME.fullmatch(form.name):
        refusals.append(RoleNameInvalid())
    if form.description is not None and not _is_valid_description(form.description):
        refusals.append(RoleDescriptionInvalid())
    if any(permission not in auth.permissions for permission in form.permissions or ()):
        refusals.append(PermissionUnknown())
    if refusals:
        raise Refusals(*refusals)


def _is_valid_description(text: str) -> bool:
    return len(text) <= DESCRIPTION_MAX_LENGTH and not any(
        unicodedata.category(c)[0] == "C" or c in "\u2028\u2029" for c in text
    )


def _add_details(
    operation: Operation, row: Role, *, before: frozenset[str], after: frozenset[str]
) -> None:
    operation.details |= {"role_id": str(row.id), "role": row.name}
    for name, permissions in (("added", after - before), ("removed", before - after)):
        if permissions:
            operation.details[name] = join_detail(permissions)
