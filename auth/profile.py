"""The profile: what users change about their own account without typing the password."""

from auth.audit import Action
from auth.authorization import own_account
from auth.names import parse_full_name
from auth.records import UserRecord
from auth.throttling.budgets import PROFILE, Budget
from auth.users import check_version
from auth.viewers import Viewer
from auth.wiring import Auth


async def update_profile(
    auth: Auth, viewer: Viewer, *, full_name: str | None, version: int | None = None
) -> UserRecord:
    """Sets or removes the full name. An unchanged name is not recorded.

    Raises FullNameInvalid, RateLimited, EditConflict.
    """
    name = None if full_name is None else parse_full_name(full_name)
    await auth.throttle.consume(Budget(PROFILE, str(viewer.user_id)))
    async with own_account(auth, viewer, Action.PROFILE_EDITED) as operation:
        row = await operation.get_subject()
        check_version(row, version)
        operation.changed = row.full_name != name
        if operation.changed:
            row.full_name = name
            row.version += 1
        return UserRecord.of(row, auth.permissions)
