"""Session events: the subscription `sessionEvents`."""

from tests.accounts import ALICE
from tests.api import Api
from tests.sessions import Device

QUERY = "subscription { sessionEvents { kind session { current endReason } at } }"


async def test_sign_in_and_sign_out_of_another_device_are_events(api: Api) -> None:
    token = await api.log_in(ALICE)
    async with api.accepted_socket() as socket:
        await socket.initialise(token)
        await socket.send(type="subscribe", id="1", payload={"query": QUERY})
        # The answer to the ping shows that the subscription has started.
        await socket.send(type="ping")
        assert await socket.receive() == {"type": "pong"}
        other = await Device(api).log_in()
        await api.data("mutation { logout { endedSessions } }", token=other.access_token)
        events = [(await socket.receive())["payload"]["data"]["sessionEvents"] for _ in range(2)]
    assert [event["kind"] for event in events] == ["SIGNED_IN", "REVOKED"]
    assert [event["session"] for event in events] == [
        {"current": False, "endReason": None},
        {"current": False, "endReason": "LOGGED_OUT"},
    ]
