"""Custom roles: create, change and delete them.

A role's name never changes, and a deleted role's name can be used again only by a user who holds
what that role granted: tokens carry the names of roles, and other programs trust them.
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
from auth.authorization import Operation, authorized, check_covers
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
from auth.permissions import Actor, PermissionRegistry, check_may
from auth.records import WITH_PERMISSIONS, RoleRecord
from auth.wiring import Auth
from models.retired_role_name import RetiredRoleName
from models.role import Role, RolePermission, UserRole

DESCRIPTION_MAX_LENGTH = 200

_NAME = re.compile(r"[a-z][a-z0-9_-]{1,63}")
# One edit at a time: each locks the roles of its actor first, and then the role that it changes.
_LOCK = "roles"


@dataclass(frozen=True, slots=True)
class RoleForm:
    """The input as typed. None leaves the value unchanged, or empty in a new role.

    `unknown_permissions` are those to keep of the stored ones that this process does not know.
    """

    name: str | None = None
    description: str | None = None
    permissions: Sequence[str] | None = None
    unknown_permissions: Sequence[str] | None = None


async def create_role(auth: Auth, actor: Actor, form: RoleForm) -> RoleRecord:
    """Creates a role that permits nothing which the actor may not do.

    Raises Forbidden, and Refusals with everything that is wrong with the form.
    """
    check_may(actor, "roles:write")
    _check_form(auth, form)
    if form.name is None:
        raise RoleNameInvalid
    wanted = frozenset(form.permissions or ())
    try:
        async with authorized(
            auth, actor, Action.ROLE_CREATED, "roles:write", lock=_LOCK
        ) as operation:
            tx = operation.tx
            row = Role(name=form.name, description=form.description or "", built_in=False)
            former = await tx.get(RetiredRoleName, row.name)
            powers = auth.permissions.powers(
                row.name, wanted.union(former.granted if former else ())
            )
            check_covers(operation.actor, powers)
            tx.add(row)
            await tx.flush()
            await _permit(tx, row.id, wanted)
            _describe(operation, row, before=frozenset(), after=wanted)
            return RoleRecord.of(await _get(tx, row.id), auth.permissions)
    except IntegrityError:
        raise RoleNameTaken from None


async def update_role(
    auth: Auth, actor: Actor, role_id: UUID, form: RoleForm, version: int | None = None
) -> RoleRecord:
    """Changes a role, for everybody who has it, at once.

    Raises Forbidden, RoleNotFound, RoleBuiltIn, EditConflict, RoleNameFixed, and Refusals.
    """
    check_may(actor, "roles:write")
    _check_form(auth, form)
    async with authorized(auth, actor, Action.ROLE_EDITED, "roles:write", lock=_LOCK) as operation:
        tx = operation.tx
        row = await _get_custom(tx, role_id)
        if version is not None and version != row.version:
            raise EditConflict
        before = _granted(row)
        after = _granted_by_form(auth.permissions, before, form)
        check_covers(operation.actor, auth.permissions.powers(row.name, before | after))
        if form.name not in {None, row.name}:
            raise RoleNameFixed
        description = row.description if form.description is None else form.description
        operation.changed = (description, after) != (row.description, before)
        if operation.changed:
            if description != row.description:
                operation.details["changed"] = "description"
            row.version, row.description = row.version + 1, description
            await _replace_permissions(tx, role_id, before, after)
            _describe(operation, row, before=before, after=after)
        await tx.flush()
        return RoleRecord.of(await _get(tx, role_id), auth.permissions)


async def delete_role(auth: Auth, actor: Actor, role_id: UUID) -> UUID:
    """Deletes a role that nobody has. Raises Forbidden, RoleNotFound, RoleBuiltIn, RoleInUse."""
    check_may(actor, "roles:write")
    async with authorized(auth, actor, Action.ROLE_DELETED, "roles:write", lock=_LOCK) as operation:
        tx = operation.tx
        row = await _get_custom(tx, role_id)
        granted = _granted(row)
        check_covers(operation.actor, auth.permissions.powers(row.name, granted))
        held = select(UserRole.user_id).where(UserRole.role_id == role_id).limit(1)
        if await tx.scalar(held):
            raise RoleInUse
        _describe(operation, row, before=granted, after=frozenset())
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
    """What the role grants after the edit. Raises PermissionUnknown."""
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
    gone = before - after
    if gone:
        of_role = RolePermission.role_id == role_id
        await tx.execute(delete(RolePermission).where(of_role, RolePermission.permission.in_(gone)))
    await _permit(tx, role_id, after - before)


async def _permit(tx: AsyncSession, role_id: UUID, permissions: frozenset[str]) -> None:
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
    problems: list[Refusal] = []
    if form.name is not None and not _NAME.fullmatch(form.name):
        problems.append(RoleNameInvalid())
    if form.description is not None and not _is_description(form.description):
        problems.append(RoleDescriptionInvalid())
    if any(permission not in auth.permissions for permission in form.permissions or ()):
        problems.append(PermissionUnknown())
    if problems:
        raise Refusals(*problems)


def _is_description(text: str) -> bool:
    return len(text) <= DESCRIPTION_MAX_LENGTH and not any(
        unicodedata.category(c)[0] == "C" or c in "\u2028\u2029" for c in text
    )


def _describe(
    operation: Operation, row: Role, *, before: frozenset[str], after: frozenset[str]
) -> None:
    operation.details |= {"role_id": str(row.id), "role": row.name}
    for name, permissions in (("added", after - before), ("removed", before - after)):
        if permissions:
            operation.details[name] = join_detail(permissions)
