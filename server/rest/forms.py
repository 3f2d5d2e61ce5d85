"""Parses the forms of the OAuth endpoints (RFC 6749, appendix B)."""

from urllib.parse import parse_qsl

from fastapi import Request

from graph.http.requests import RequestRefused, read_body, read_headers
from graph.statuses import JSON

FORM = "application/x-www-form-urlencoded"
MAX_FORM_BYTES = 100_000


class MalformedForm(Exception):
    """The form is invalid. `status` is the HTTP status of the reply."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


async def read_form(request: Request) -> dict[str, str]:
    """Returns the parameters of a form. Raises MalformedForm, also for repeated parameters."""
    content_type = request.headers.get("content-type", "")
    if content_type.split(";", maxsplit=1)[0].strip().lower() != FORM:
        raise MalformedForm(f"Send the request as Content-Type: {FORM}.")
    try:
        body = await read_body(read_headers(request.scope), request.receive, MAX_FORM_BYTES)
        text = body.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=16)
    except RequestRefused as refused:
        raise MalformedForm(str(refused), refused.problem.status(JSON)) from None
    except ValueError:
        raise MalformedForm("The form is not valid URL-encoded ASCII.") from None
    form = dict(pairs)
    # RFC 6749, 3.2: parameters must not be included more than once.
    if len(form) != len(pairs):
        raise MalformedForm("A parameter occurs twice. Send each parameter once.")
    return form


def documented_form(required: list[str], **fields: dict[str, object]) -> dict[str, object]:
    """Returns the OpenAPI description of a form."""
    schema = {"type": "object", "required": required, "properties": fields}
    return {"requestBody": {"required": True, "content": {FORM: {"schema": schema}}}}
