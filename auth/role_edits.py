"""Own roles: make them, change what they permit, delete them."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from auth.audit import Act, Action, record
from auth.errors import (
    EditConflict,
    Forbidden,
    Refusal,
    Refusals,
    RoleNotFound,
    about_field,
)
from auth.policies import Actor, check_may
from auth.records import WITH_PERMISSIONS, RoleRecord
from auth.role_errors import (
    PermissionUnknown,
    RoleBuiltIn,
    RoleDescriptionInvalid,
    RoleInUse,
    RoleNameInvalid,
    RoleNameTaken,
)
from auth.wiring import Auth
from models.role import Role, RolePermission, UserRole

DESCRIPTION_MAX_LENGTH = 200

_NAME = re.compile(r"[a-z][a-z0-9_-]{1,63}")


@dataclass(frozen=True, slots=True)
class RoleForm:
    """What somebody typed; what is None stays as it is, or is empty in a new role."""

    name: str | None = None
    description: str | None = None
    permissions: Sequence[str] | None = None


async def create_role(auth: Auth, actor: Actor, form: RoleForm) -> RoleRecord:
    """Makes a role that permits nothing which the actor may not do.

    Raises Forbidden, and Refusals with everything that is wrong with the form.
    """
    check_may(actor, "roles:write")
    _check_form(auth, form)
    wanted = frozenset(form.permissions or ())
    _check_may_change(actor, wanted)
    try:
        async with auth.db.begin() as tx:
            row = Role(name=form.name, description=form.description or "", built_in=False)
            tx.add(row)
            await tx.flush()
            await _permit(tx, row.id, wanted)
            _record(tx, auth, actor, Action.ROLE_CREATED, row.id)
            return RoleRecord.of(await _get(tx, row.id), auth.permissions)
    except IntegrityError:
        raise RoleNameTaken from None


async def update_role(
    auth: Auth, actor: Actor, role_id: UUID, form: RoleForm, version: int | None = None
) -> RoleRecord:
    """Changes a role, for everybody who has it, at once.

    Raises Forbidden, RoleNotFound, RoleBuiltIn, EditConflict, and Refusals.
    """
    check_may(actor, "roles:write")
    _check_form(auth, form)
    try:
        async with auth.db.begin() as tx:
            row = await _get_own(tx, role_id)
            if version is not None and version != row.version:
                raise EditConflict
            await _apply(tx, auth, actor, row, form)
            _record(tx, auth, actor, Action.ROLE_EDITED, role_id)
            await tx.flush()
            return RoleRecord.of(await _get(tx, role_id), auth.permissions)
    except IntegrityError:
        raise RoleNameTaken from None


async def delete_role(auth: Auth, actor: Actor, role_id: UUID) -> UUID:
    """Deletes a role that nobody has. Raises Forbidden, RoleNotFound, RoleBuiltIn, RoleInUse."""
    check_may(actor, "roles:write")
    async with auth.db.begin() as tx:
        row = await _get_own(tx, role_id)
        _check_may_change(actor, RoleRecord.of(row, auth.permissions).permissions)
        held = select(UserRole.user_id).where(UserRole.role_id == role_id).limit(1)
        if await tx.scalar(held):
            raise RoleInUse
        _record(tx, auth, actor, Action.ROLE_DELETED, role_id)
        await tx.delete(row)
    return role_id


async def _apply(tx: AsyncSession, auth: Auth, actor: Actor, row: Role, form: RoleForm) -> None:
    row.version += 1
    if form.name is not None:
        row.name = form.name
    if form.description is not None:
        row.description = form.description
    if form.permissions is not None:
        before = RoleRecord.of(row, auth.permissions).permissions
        wanted = frozenset(form.permissions)
        _check_may_change(actor, before ^ wanted)
        await tx.execute(delete(RolePermission).where(RolePermission.role_id == row.id))
        await _permit(tx, row.id, wanted)


async def _permit(tx: AsyncSession, role_id: UUID, permissions: frozenset[str]) -> None:
    if permissions:
        rows = [{"role_id": role_id, "permission": p} for p in sorted(permissions)]
        await tx.execute(insert(RolePermission), rows)


async def _get_own(tx: AsyncSession, role_id: UUID) -> Role:
    row = await _get(tx, role_id)
    if row.built_in:
        raise RoleBuiltIn
    return row


async def _get(tx: AsyncSession, role_id: UUID) -> Role:
    query = select(Role).where(Role.id == role_id).options(WITH_PERMISSIONS).with_for_update()
    row = await tx.scalar(query, execution_options={"populate_existing": True})
    if row is None:
        with about_field("role_id"):
            raise RoleNotFound
    return row


def _check_may_change(actor: Actor, permissions: frozenset[str]) -> None:
    for permission in sorted(permissions - actor.permissions):
        raise Forbidden(permission)


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


def _record(tx: AsyncSession, auth: Auth, actor: Actor, action: Action, role_id: UUID) -> None:
    details = {"role_id": str(role_id)}
    record(tx, Act.by(actor, action, auth.clock.now(), details=details))
