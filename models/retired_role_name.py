"""Names of deleted roles, with the permissions that they granted."""

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class RetiredRoleName(Base):
    """A name that other services may still trust. See `auth/role_edits.py`."""

    __tablename__ = "retired_role_names"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    granted: Mapped[list[str]] = mapped_column(JSON)
