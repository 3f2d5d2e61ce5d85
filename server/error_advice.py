"""Advice for clients about each error code: the last column of docs/errors.md."""

_SHOW = "Show `message` at the field."
_SIGN_IN = "Delete the tokens and ask the user to sign in."
_CORRECT = "Fix the client. The message says what is wrong."
_RELOAD = "Load the list again. The item no longer exists."

REFUSALS = {
    "ACCOUNT_DISABLED": "Show `message`. Only an admin can enable the account.",
    "EDIT_CONFLICT": "Load the object again, show what is different, and let the user decide.",
    "EMAIL_ALREADY_VERIFIED": "Load `me` again and continue.",
    "EMAIL_INVALID": _SHOW,
    "EMAIL_MISSING": "Offer to enter an address: `requestEmailChange`, or `updateUser` for an"
    " admin.",
    "EMAIL_TAKEN": "Show `message` at the field. Offer to sign in or to reset the password.",
    "FULL_NAME_INVALID": _SHOW,
    "INVALID_CREDENTIALS": "Show `message`. Keep the username and clear the password.",
    "INVALID_REFRESH_TOKEN": _SIGN_IN,
    "INVITATION_INVALID": "Show `message`. An admin can send another invitation.",
    "INVITATION_NOT_FOUND": _RELOAD,
    "INVITATION_REQUIRED": "Show `message`. The link in the invitation opens the form with it.",
    "LAST_ADMIN": "Show `message`. Another user must become an admin first.",
    "LINK_INVALID": "Show `message` and offer to send a new link.",
    "MAIL_UNAVAILABLE": "Show `message`. The operator must set `POSTERN_MAIL_URL`.",
    "PASSWORD_CHANGE_REQUIRED": "Ask for a new password and send the mutation again with"
    " `newPassword`. `login` also needs the old password.",
    "PASSWORD_REQUIRED": "Ask for the password on the page that the link opens. `verifyEmail` also"
    " accepts a `newPassword`.",
    "PASSWORD_INVALID": _SHOW,
    "PASSWORD_TOO_COMMON": _SHOW,
    "PASSWORD_TOO_LONG": _SHOW,
    "PASSWORD_TOO_PERSONAL": _SHOW,
    "PASSWORD_TOO_SHORT": "Show `message` at the field. It names the minimum length.",
    "PERMISSION_UNKNOWN": "Load `permissions` again. It lists all permissions.",
    "RATE_LIMITED": "Show `message` and block new attempts for `retryAfter` seconds.",
    "REGISTRATION_CLOSED": "Show `message`. Do not show a registration form.",
    "ROLE_BUILT_IN": "Do not offer edits where `builtIn` is true.",
    "ROLE_DESCRIPTION_INVALID": _SHOW,
    "ROLE_IN_USE": "Show `message`. `users(role:)` lists the users who have the role.",
    "ROLE_NAME_FIXED": "Do not offer to edit the name. Create another role instead.",
    "ROLE_NAME_INVALID": _SHOW,
    "ROLE_NAME_TAKEN": _SHOW,
    "ROLE_NOT_FOUND": _RELOAD,
    "SESSION_NOT_FOUND": "Load `sessions` again. The session has ended.",
    "TEMPORARY_PASSWORD_EXPIRED": "Show `message`. An admin can set another temporary password with"
    " `setTemporaryPassword`.",
    "USERNAME_INVALID": _SHOW,
    "USERNAME_TAKEN": _SHOW,
    "USER_NOT_FOUND": _RELOAD,
    "WRONG_PASSWORD": "Show `message` at the field. The session stays active.",
}

ERRORS = {
    "UNAUTHENTICATED": "See the reasons below.",
    "FORBIDDEN": "Hide the feature. `me { permissions }` lists the permissions of the user.",
    "BAD_USER_INPUT": "Correct the arguments or variables.",
    "BAD_REQUEST": _CORRECT,
    "GRAPHQL_PARSE_FAILED": _CORRECT,
    "GRAPHQL_VALIDATION_FAILED": "Check the documents against the schema of this server at build"
    " time.",
    "OPERATION_RESOLUTION_FAILURE": "Send `operationName`, or one operation per document.",
    "PERSISTED_QUERY_NOT_SUPPORTED": "Turn off automatic persisted queries, which cost an extra"
    " request.",
    "METHOD_NOT_ALLOWED": "Send it by POST.",
    "NOT_ACCEPTABLE": "Send `Accept: application/graphql-response+json, application/json`.",
    "UNSUPPORTED_MEDIA_TYPE": "Send `Content-Type: application/json` and do not compress the body.",
    "LIMIT_EXCEEDED": "Request less at a time: a smaller `first`, fewer fields, or two requests.",
    "RATE_LIMITED": "Send the same documents each time, with variables for what differs.",
    "INTROSPECTION_DISABLED": "Give your tools the file schema.graphql.",
    "PERSISTED_QUERY_NOT_FOUND": "Deploy the manifest to the server before the frontend.",
    "DOCUMENT_NOT_TRUSTED": "Add the document to the manifest.",
    "SERVICE_UNAVAILABLE": "Keep the tokens and try again after `retryAfter` seconds.",
    "INTERNAL_SERVER_ERROR": "Show an apology with the `requestId`. Do not retry automatically.",
}

REASONS = {
    "TOKEN_MISSING": "Sign in, or wait for the refresh that is in progress.",
    "TOKEN_INVALID": _SIGN_IN,
    "TOKEN_EXPIRED": "Refresh once and send the request again.",
    "SESSION_REVOKED": _SIGN_IN,
    "USER_DISABLED": "Delete the tokens and show `message`.",
}
