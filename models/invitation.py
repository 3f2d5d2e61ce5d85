"""Invitations to register, and the roles that they grant."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, String, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, UtcDateTime, key_text, uuid7
from models.role import Role


class InvitationRole(Base):
    """A role that the invited user will have."""

    __tablename__ = "invitation_roles"

    invitation_id: Mapped[UUID] = mapped_column(
        ForeignKey("invitations.id", ondelete="CASCADE"), primary_key=True
    )
    role_id: Mapped[UUID] = mapped_column(
        ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True
    )


class Invitation(Base):
    """An open invitation. The row is deleted when it is accepted."""

    __tablename__ = "invitations"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    email: Mapped[str] = mapped_column(String(254))
    email_key: Mapped[str] = mapped_column(key_text(254), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    # The admin who sent it. Not a foreign key: without the account the invitation is invalid.
    invited_by: Mapped[UUID | None]
    from_console: Mapped[bool] = mapped_column(default=False, server_default=false())

    roles: Mapped[list[Role]] = relationship(
        secondary=InvitationRole.__table__, order_by=Role.name, lazy="raise", viewonly=True
    )
