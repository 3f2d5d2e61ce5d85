"""Strawberry with FastAPI, as Strawberry's documentation shows it."""

import asyncio
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import bcrypt
import jwt
import strawberry
from fastapi import FastAPI, Header
from sqlalchemy import ForeignKey, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload
from strawberry.fastapi import GraphQLRouter
from strawberry.permission import BasePermission

SECRET = os.environ["PEER_SECRET"]
ALGORITHM = "HS256"
LIFETIME = timedelta(minutes=30)

engine = create_async_engine(f"sqlite+aiosqlite:///{os.environ['PEER_DATABASE']}")
new_session = async_sessionmaker(engine)

Context = dict[str, Any]
Info = strawberry.Info[Context, None]


class Base(DeclarativeBase):
    """The tables that are used."""


class UserRole(Base):
    """A role of a user."""

    __tablename__ = "user_roles"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    role_id: Mapped[UUID] = mapped_column(ForeignKey("roles.id"), primary_key=True)


class RoleRow(Base):
    """A role."""

    __tablename__ = "roles"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]


class UserRow(Base):
    """An account."""

    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    username: Mapped[str]
    username_key: Mapped[str]
    password_hash: Mapped[str]
    roles: Mapped[list[RoleRow]] = relationship(secondary="user_roles")


@strawberry.type
class Role:
    """A role of a user."""

    name: str


@strawberry.type
class User:
    """A user."""

    id: strawberry.ID
    username: str
    roles: list[Role]

    @classmethod
    def of(cls, row: UserRow) -> "User":
        """Returns the user of a row."""
        roles = [Role(name=role.name) for role in row.roles]
        return cls(id=strawberry.ID(str(row.id)), username=row.username, roles=roles)


@strawberry.type
class UserConnection:
    """One page of users."""

    nodes: list[User]


@strawberry.type
class Tokens:
    """The access token."""

    access_token: str


@strawberry.type
class UserError:
    """An error that the user can fix."""

    code: str


@strawberry.type
class LoginPayload:
    """Result of `login`."""

    tokens: Tokens | None
    errors: list[UserError]


@strawberry.input
class LoginInput:
    """Username and password."""

    username: str
    password: str


class IsAuthenticated(BasePermission):
    """Requires a valid token."""

    message = "Log in first."

    def has_permission(self, source: Any, info: Info, **kwargs: Any) -> bool:  # noqa: ARG002
        """Returns whether the request has a viewer."""
        return info.context["viewer"] is not None


@strawberry.type
class Query:
    """The queries."""

    @strawberry.field(permission_classes=[IsAuthenticated])
    async def me(self, info: Info) -> User | None:
        """Returns the viewer."""
        with_roles = selectinload(UserRow.roles)
        async with new_session() as session:
            row = await session.get(UserRow, info.context["viewer"], options=[with_roles])
            return User.of(row) if row else None

    @strawberry.field(permission_classes=[IsAuthenticated])
    async def users(self, first: int) -> UserConnection:
        """Returns the newest users."""
        query = select(UserRow).options(selectinload(UserRow.roles)).order_by(UserRow.id.desc())
        async with new_session() as session:
            rows: Sequence[UserRow] = (await session.scalars(query.limit(first))).all()
            return UserConnection(nodes=[User.of(row) for row in rows])


@strawberry.type
class Mutation:
    """The mutations."""

    @strawberry.mutation
    async def login(self, input: LoginInput) -> LoginPayload:
        """Returns a token if the password is right."""
        async with new_session() as session:
            row = await session.scalar(
                select(UserRow).where(UserRow.username_key == input.username)
            )
        if row is None or not await asyncio.to_thread(
            bcrypt.checkpw, input.password.encode(), row.password_hash.encode()
        ):
            return LoginPayload(tokens=None, errors=[UserError(code="INVALID_CREDENTIALS")])
        return LoginPayload(tokens=Tokens(access_token=_token_for(row.id)), errors=[])


def _token_for(user_id: UUID) -> str:
    claims = {"sub": user_id.hex, "exp": datetime.now(UTC) + LIFETIME}
    return jwt.encode(claims, SECRET, algorithm=ALGORITHM)


def _viewer_of(authorization: str | None) -> UUID | None:
    if authorization is None:
        return None
    token = authorization.removeprefix("Bearer ")
    try:
        return UUID(jwt.decode(token, SECRET, algorithms=[ALGORITHM])["sub"])
    except jwt.InvalidTokenError:
        return None


async def get_context(authorization: Annotated[str | None, Header()] = None) -> Context:
    """Returns the context of a request."""
    return {"viewer": _viewer_of(authorization)}


router = GraphQLRouter[Context, None](
    strawberry.Schema(query=Query, mutation=Mutation), context_getter=get_context
)
app = FastAPI()
app.include_router(router, prefix="/graphql")
