"""HTTP statuses of requests that fail as a whole.

Drafts and clients differ (https://graphql.github.io/graphql-over-http/draft/#sec-Status-Codes): the
latest draft requires 422 for an invalid document and 294 for partial data; clients expect 400 and
200. With `application/json`, clients do not read the errors of a 4xx reply, which a proxy may have
sent.
"""

from enum import Enum

RESPONSE_JSON = "application/graphql-response+json"
JSON = "application/json"


class Problem(Enum):
    """Why a request fails as a whole.

    The values are the error code, the status for `application/graphql-response+json`, and the
    status for `application/json`.
    """

    MALFORMED = ("BAD_REQUEST", 400, 400)
    WRONG_METHOD = ("METHOD_NOT_ALLOWED", 405, 405)
    NOT_ACCEPTABLE = ("NOT_ACCEPTABLE", 406, 406)
    TOO_LARGE = ("LIMIT_EXCEEDED", 413, 413)
    WRONG_CONTENT_TYPE = ("UNSUPPORTED_MEDIA_TYPE", 415, 415)
    # An invalid document, operation or variable; each error has a code of its own.
    DOCUMENT = ("GRAPHQL_VALIDATION_FAILED", 400, 200)
    UNKNOWN_DOCUMENT = ("PERSISTED_QUERY_NOT_FOUND", 400, 200)
    NOT_TRUSTED = ("DOCUMENT_NOT_TRUSTED", 403, 403)
    # Apollo Client then sends the whole document.
    NO_PERSISTED_QUERIES = ("PERSISTED_QUERY_NOT_SUPPORTED", 200, 200)
    RATE_LIMITED = ("RATE_LIMITED", 429, 429)
    INTERNAL_ERROR = ("INTERNAL_SERVER_ERROR", 500, 500)
    TIMED_OUT = ("LIMIT_EXCEEDED", 503, 503)
    UNAVAILABLE = ("SERVICE_UNAVAILABLE", 503, 503)

    @property
    def code(self) -> str:
        """The error code."""
        return self.value[0]

    def status(self, media_type: str) -> int:
        """Returns the status of a reply of this media type."""
        return self.value[1] if media_type == RESPONSE_JSON else self.value[2]
