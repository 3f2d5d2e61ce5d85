"""Invitations to register, and the roles that come with them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, String, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, UtcDateTime, key_text, uuid7
from models.role import Role


class InvitationRole(Base):
    """A role that the invited person will have."""

    __tablename__ = "invitation_roles"

    invitation_id: Mapped[UUID] = mapped_column(
        ForeignKey("invitations.id", ondelete="CASCADE"), primary_key=True
    )
    role_id: Mapped[UUID] = mapped_column(
        ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True
    )


class Invitation(Base):
    """Somebody may register with this address; the row goes when they have."""

    __tablename__ = "invitations"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    email: Mapped[str] = mapped_column(String(254))
    email_key: Mapped[str] = mapped_column(key_text(254), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    # The account of the operator. It refers to nothing: without the account the row is void.
    invited_by: Mapped[UUID | None]
    from_console: Mapped[bool] = mapped_column(default=False, server_default=false())

    roles: Mapped[list[Role]] = relationship(
        secondary=InvitationRole.__table__, order_by=Role.name, lazy="raise", viewonly=True
    )
