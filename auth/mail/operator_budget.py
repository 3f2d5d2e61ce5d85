"""Limits the emails with a link that operators have sent."""

from auth.authorization import Operation
from auth.throttling.budgets import operator_mail_budgets
from auth.wiring import Auth


async def count_operator_mail(auth: Auth, operation: Operation, email: str) -> None:
    """Counts an email that is sent if the operation commits. Raises RateLimited.

    The console is not limited: an operator of the server could send the emails without Postern.
    """
    operator_id = operation.actor.user_id
    if operator_id is not None and auth.sends_mail:
        budgets = operator_mail_budgets(operator_id, email)
        await auth.throttle.spend_within(operation.tx, *budgets)
