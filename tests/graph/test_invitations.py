"""Invitations: the list, and its pages."""

from tests.api import Api
from tests.emails import Mailbox
from tests.graph.payloads import FORM, mutate


async def test_invitations_are_listed_until_they_are_accepted(
    api: Api, admin: str, mailbox: Mailbox
) -> None:
    invited = await mutate(api, "createInvitation", {"email": FORM["email"]}, token=admin)
    query = "{ invitations { nodes { id email } pageInfo { hasNextPage } } }"
    (node,) = (await api.data(query, token=admin))["invitations"]["nodes"]
    assert node == {"id": invited["invitation"]["id"], "email": FORM["email"]}
    await api.send_emails()
    token = mailbox.last(FORM["email"]).token
    assert (await mutate(api, "register", {**FORM, "invitation": token}))["user"]
    assert (await api.data(query, token=admin))["invitations"]["nodes"] == []


async def test_invitations_are_paginated(api: Api, admin: str) -> None:
    for number in range(3):
        await mutate(api, "createInvitation", {"email": f"person{number}@example.com"}, token=admin)
    query = """query($after: String) { invitations(first: 2, after: $after) {
        nodes { email } pageInfo { hasNextPage endCursor } } }"""
    first = (await api.data(query, token=admin))["invitations"]
    after = {"after": first["pageInfo"]["endCursor"]}
    second = (await api.data(query, after, token=admin))["invitations"]
    emails = [node["email"] for node in first["nodes"] + second["nodes"]]
    assert emails == [f"person{number}@example.com" for number in (2, 1, 0)]
