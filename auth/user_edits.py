"""Edits of a user by an admin: username, email address and full name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from auth.audit import Action, join_detail
from auth.authorization import Operation, managed_user
from auth.errors import Refusal, Refusals
from auth.mail.outbox import EmailKind, queue_notice
from auth.names import canonical, parse_email, parse_full_name, parse_username
from auth.permissions import Actor, Permission, check_may
from auth.records import UserRecord
from auth.throttling.budgets import reset_budgets
from auth.tokens.link_tokens import Purpose
from auth.user_creation import parse_and_collect, refusing_taken_names
from auth.user_links import end_links, send_operator_link
from auth.users import check_version, set_email
from auth.wiring import Auth
from models.user import User


class Unchanged:
    """The type of UNCHANGED, for a field that keeps its value. None removes the value."""


UNCHANGED: Final = Unchanged()


@dataclass(frozen=True, slots=True)
class UserEdit:
    """The new values. `version` is the version of the user that the admin read."""

    username: str | Unchanged = UNCHANGED
    email: str | Unchanged | None = UNCHANGED
    full_name: str | Unchanged | None = UNCHANGED
    version: int | None = None


async def update_user(auth: Auth, actor: Actor, user_id: UUID, edit: UserEdit) -> UserRecord:
    """Updates a user. A new address is not verified, and the old address gets a notice.

    An edit that changes nothing is not recorded. Raises Forbidden, UserNotFound, EditConflict,
    RateLimited, and Refusals with all problems of the new values.
    """
    check_may(actor, Permission.USERS_WRITE)
    parsed = _parse(edit)
    username, email = parsed.get("username"), parsed.get("email")
    async with (
        refusing_taken_names(auth, username, email, except_for=user_id),
        managed_user(auth, actor, Action.USER_EDITED, user_id) as (operation, row),
    ):
        check_version(row, edit.version)
        changes = {name: value for name, value in parsed.items() if getattr(row, name) != value}
        operation.changed = bool(changes)
        if changes:
            await _apply(auth, operation, row, changes)
            operation.details["fields"] = join_detail(changes)
            await operation.tx.flush()
        return UserRecord.of(await operation.get_subject(), auth.permissions)


async def _apply(
    auth: Auth, operation: Operation, row: User, changes: Mapping[str, str | None]
) -> None:
    row.version += 1
    if username := changes.get("username"):
        row.username, row.username_key = username, canonical(username)
    if "full_name" in changes:
        row.full_name = changes["full_name"]
    if "email" in changes:
        await _change_email(auth, operation, row, changes["email"])


async def _change_email(auth: Auth, operation: Operation, row: User, email: str | None) -> None:
    tx, old = operation.tx, row.email
    set_email(row, email, verified_at=None)
    await auth.throttle.reset(tx, *reset_budgets(email))
    await end_links(tx, row.id, *Purpose)
    queue_notice(tx, auth, EmailKind.EMAIL_CHANGED, row, old)
    if email:
        purpose, kind = Purpose.EMAIL_VERIFICATION, EmailKind.EMAIL_VERIFICATION
        await send_operator_link(auth, operation, row, purpose, kind)


def _parse(edit: UserEdit) -> dict[str, str | None]:
    parsed: dict[str, str | None] = {}
    problems: list[Refusal] = []
    for name, given, parse in (
        ("username", edit.username, parse_username),
        ("email", edit.email, parse_email),
        ("full_name", edit.full_name, parse_full_name),
    ):
        if not isinstance(given, Unchanged):
            parsed[name] = parse_and_collect(problems, parse, given)
    if problems:
        raise Refusals(*problems)
    return parsed
