"""The upper limit of uvicorn: reads the request and sends constant bytes."""

from starlette.types import Receive, Scope, Send

BODY = (
    b'{"data":{"me":{"id":"018f2f6e-5c1a-7cc3-98c4-0b6a2f1d9e57","username":"000000-person",'
    b'"roles":[{"name":"user"}]}}}'
)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends the constant reply."""
    if scope["type"] != "http":
        return
    await receive()
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(BODY)).encode()),
            ],
        }
    )
    await send({"type": "http.response.body", "body": BODY})
