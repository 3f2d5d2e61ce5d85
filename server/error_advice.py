"""What a client does about each code that it can meet: the last column of docs/errors.md."""

_SHOW = "Show `message` at the field."
_SIGN_IN = "Forget the tokens, and ask the person to sign in."
_CORRECT = "Correct the client: the message says what."
_READ_ANEW = "Read the list again: what it showed is gone."

REFUSALS = {
    "ACCOUNT_DISABLED": "Show `message`. Only an operator can help.",
    "EDIT_CONFLICT": "Read the object again, show what is different, and let the person decide.",
    "EMAIL_ALREADY_VERIFIED": "Read `me` again, and go on.",
    "EMAIL_INVALID": _SHOW,
    "EMAIL_MISSING": "Offer to enter one: `requestEmailChange`, or `updateUser` for an operator.",
    "EMAIL_TAKEN": "Show `message` at the field. Offer to sign in, or to reset the password.",
    "FULL_NAME_INVALID": _SHOW,
    "INVALID_CREDENTIALS": "Show `message`. Keep the username, empty the password.",
    "INVALID_REFRESH_TOKEN": _SIGN_IN,
    "INVITATION_INVALID": "Show `message`. An operator can send another invitation.",
    "INVITATION_NOT_FOUND": _READ_ANEW,
    "INVITATION_REQUIRED": "Show `message`. The link of an invitation leads to the form with it.",
    "LAST_ADMIN": "Show `message`: somebody else has to be an administrator first.",
    "LINK_INVALID": "Show `message`, and offer to send a new link.",
    "MAIL_UNAVAILABLE": "Show `message`. The operator sets `POSTERN_MAIL_URL`.",
    "PASSWORD_CHANGE_REQUIRED": "Ask for a new password, and send the mutation again with"
    " `newPassword`; `login` needs the old one beside it.",
    "PASSWORD_REQUIRED": "Ask for the password on the page of the link. `verifyEmail` also takes a"
    " `newPassword`.",
    "PASSWORD_INVALID": _SHOW,
    "PASSWORD_TOO_COMMON": _SHOW,
    "PASSWORD_TOO_LONG": _SHOW,
    "PASSWORD_TOO_PERSONAL": _SHOW,
    "PASSWORD_TOO_SHORT": "Show `message` at the field: it says how long one has to be here.",
    "PERMISSION_UNKNOWN": "Read `permissions` again: it lists all there are.",
    "RATE_LIMITED": "Show `message`, and let nobody try again for `retryAfter` seconds.",
    "REGISTRATION_CLOSED": "Show `message`. Show no form for registration.",
    "ROLE_BUILT_IN": "Offer no edit where `builtIn` is true.",
    "ROLE_DESCRIPTION_INVALID": _SHOW,
    "ROLE_IN_USE": "Show `message`. `users(role:)` lists who has it.",
    "ROLE_NAME_FIXED": "Offer no edit of the name. Create another role instead.",
    "ROLE_NAME_INVALID": _SHOW,
    "ROLE_NAME_TAKEN": _SHOW,
    "ROLE_NOT_FOUND": _READ_ANEW,
    "SESSION_NOT_FOUND": "Read `sessions` again: it has ended already.",
    "TEMPORARY_PASSWORD_EXPIRED": "Show `message`. An operator sets another one with"
    " `setTemporaryPassword`.",
    "USERNAME_INVALID": _SHOW,
    "USERNAME_TAKEN": _SHOW,
    "USER_NOT_FOUND": _READ_ANEW,
    "WRONG_PASSWORD": "Show `message` at the field. The session goes on.",
}

ERRORS = {
    "UNAUTHENTICATED": "See the reasons below.",
    "FORBIDDEN": "Hide what needs it: `me { permissions }` says what the person may do.",
    "BAD_USER_INPUT": "Correct the variables.",
    "BAD_REQUEST": _CORRECT,
    "GRAPHQL_PARSE_FAILED": _CORRECT,
    "GRAPHQL_VALIDATION_FAILED": "Check the documents against the schema of this server when you"
    " build.",
    "OPERATION_RESOLUTION_FAILURE": "Send `operationName`, or one operation per document.",
    "PERSISTED_QUERY_NOT_SUPPORTED": "Turn automatic persisted queries off: they cost a request.",
    "METHOD_NOT_ALLOWED": "Send it by POST.",
    "NOT_ACCEPTABLE": "Send `Accept: application/graphql-response+json, application/json`.",
    "UNSUPPORTED_MEDIA_TYPE": "Send `Content-Type: application/json`, and do not compress.",
    "LIMIT_EXCEEDED": "Ask for less at a time: a smaller `first`, fewer fields, two requests.",
    "RATE_LIMITED": "Send the same documents each time, with variables for what differs.",
    "INTROSPECTION_DISABLED": "Give your tools the file schema.graphql.",
    "PERSISTED_QUERY_NOT_FOUND": "Deploy the manifest to the server before the frontend.",
    "DOCUMENT_NOT_TRUSTED": "Put the document into the manifest.",
    "SERVICE_UNAVAILABLE": "Keep the tokens, and try again after that time.",
    "INTERNAL_SERVER_ERROR": "Show the `requestId` with an apology. Do not try again by yourself.",
}

REASONS = {
    "TOKEN_MISSING": "Sign in; or wait for the refresh that is under way.",
    "TOKEN_INVALID": _SIGN_IN,
    "TOKEN_EXPIRED": "Refresh once, and send the request again.",
    "SESSION_REVOKED": _SIGN_IN,
    "USER_DISABLED": "Forget the tokens, and show `message`.",
}
