"""Rate limit for the emails that admins cause."""

from auth.authorization import Operation
from auth.throttling.budgets import admin_email_budgets
from auth.wiring import Auth


async def count_admin_email(auth: Auth, operation: Operation, email: str) -> None:
    """Counts an email with a link if the operation commits. Raises RateLimited.

    Commands on the server are not limited: their operator can send email without Postern.
    """
    admin_id = operation.actor.user_id
    if admin_id is not None and auth.sends_email:
        budgets = admin_email_budgets(admin_id, email)
        await auth.throttle.consume_in(operation.tx, *budgets)
