"""Errors of roles and permissions."""

from auth.errors.kinds import Refusal


class RoleNotFound(Refusal):
    """There is no role with one of these IDs."""

    message = "There is no such role. It may have been deleted."
    field = "role_ids"


class LastAdmin(Refusal):
    """The change would leave no active admin."""

    message = "This is the last active admin. Give another user the role admin first."


class RoleNameInvalid(Refusal):
    """The name is too short, too long, or has a character that is not allowed."""

    message = (
        "A role name must have 2 to 64 lowercase letters, digits, hyphens or underscores, and start"
        " with a letter."
    )
    field = "name"


class RoleNameTaken(Refusal):
    """Another role has this name."""

    message = "Another role has this name. Choose another one."
    field = "name"


class RoleNameFixed(Refusal):
    """The name of a role cannot be changed, because services and code refer to it."""

    message = "The name of a role cannot be changed. Create another role."
    field = "name"


class RoleDescriptionInvalid(Refusal):
    """The description is too long or has control characters."""

    message = "A description must have at most 200 characters and no control characters."
    field = "description"


class RoleBuiltIn(Refusal):
    """The role is built in and cannot be changed or deleted."""

    message = "This role is built in and cannot be changed. Create another role."
    field = "role_id"


class RoleInUse(Refusal):
    """A user has the role, so it cannot be deleted."""

    message = "At least one user has this role. Remove it from all users first."
    field = "role_id"


class PermissionUnknown(Refusal):
    """There is no permission with one of these names."""

    message = "There is no such permission. Choose from the list of permissions."
    field = "permissions"
