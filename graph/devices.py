"""Device proofs: stored in browsers as cookies."""

from uuid import UUID

from auth.device_recognition import issue_device_proof
from graph.context import Context


async def remember_device(context: Context, user_id: UUID) -> None:
    """Makes the browser a known device of a user who has just proved or chosen the password.

    Only pages of allowed origins get the cookie. Other clients use an earlier refresh token.
    """
    if context.cookies.may_store_device:
        proof = await issue_device_proof(context.auth, user_id)
        if proof:
            store_device_proof(context, user_id, proof)


def store_device_proof(context: Context, user_id: UUID, proof: str) -> None:
    """Adds the proof to the device cookie; proofs of other users stay."""
    cookies = context.cookies
    others = context.auth.devices.list_of_other_users(user_id, cookies.device_proofs)
    cookies.store_device([proof, *others])
