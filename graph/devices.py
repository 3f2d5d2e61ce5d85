"""Gives device proofs to browsers as cookies."""

from uuid import UUID

from auth.device_recognition import issue_device_proof
from graph.context import Context


async def remember_device(context: Context, user_id: UUID) -> None:
    """Makes the browser a known device of a user who has just proved or chosen the password.

    Only a page of an allowed origin gets the cookie. Other clients keep a former refresh token.
    """
    if context.cookies.are_for_allowed_page:
        proof = await issue_device_proof(context.auth, user_id)
        if proof:
            store_proof(context, user_id, proof)


def store_proof(context: Context, user_id: UUID, proof: str) -> None:
    """Stores the proof in the device cookie, beside those of other users."""
    cookies = context.cookies
    others = context.auth.devices.list_of_other_users(user_id, cookies.device_proofs)
    cookies.store_device([proof, *others])
