"""What people change about themselves without proving anything more."""

from auth.audit import Action, record
from auth.names import parse_full_name
from auth.reauthentication import own_act
from auth.records import UserRecord
from auth.users import check_version, get_row
from auth.viewers import Viewer
from auth.wiring import Auth


async def update_profile(
    auth: Auth, viewer: Viewer, *, full_name: str | None, version: int | None = None
) -> UserRecord:
    """Takes another name for people, or none. Raises FullNameInvalid, EditConflict."""
    name = None if full_name is None else parse_full_name(full_name)
    async with auth.db.begin() as tx:
        row = await get_row(tx, viewer.user_id)
        check_version(row, version)
        row.full_name = name
        row.version += 1
        record(tx, own_act(auth, viewer, Action.PROFILE_EDITED))
        return UserRecord.of(row, auth.permissions)
