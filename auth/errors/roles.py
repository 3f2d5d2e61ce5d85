"""Errors of roles and permissions."""

from auth.errors.base import Refusal


class RoleNotFound(Refusal):
    """There is no role with one of these ids."""

    message = "There is no such role."
    field = "role_ids"


class LastAdmin(Refusal):
    """The change would leave no active administrator."""

    message = "This is the last active administrator. Make somebody else one first."


class RoleNameInvalid(Refusal):
    """The name of the role is no short word of small letters, digits, hyphens or underscores."""

    message = (
        "A role's name has 2 to 64 small letters, digits, hyphens or underscores, and starts with"
        " a letter."
    )
    field = "name"


class RoleNameTaken(Refusal):
    """Another role has this name."""

    message = "This name is taken."
    field = "name"


class RoleNameFixed(Refusal):
    """The name of a role cannot be changed: services and code refer to it."""

    message = "The name of a role cannot be changed. Create another role."
    field = "name"


class RoleDescriptionInvalid(Refusal):
    """The description is too long or holds control characters."""

    message = "A description has at most 200 characters and no control characters."
    field = "description"


class RoleBuiltIn(Refusal):
    """The role comes with Postern and stays as it is."""

    message = "This role comes with Postern and stays as it is. Make one of your own."
    field = "role_id"


class RoleInUse(Refusal):
    """Somebody has the role: take it from them first."""

    message = "Somebody has this role. Take it from them first."
    field = "role_id"


class PermissionUnknown(Refusal):
    """There is no permission of one of these names."""

    message = "There is no such permission."
    field = "permissions"
