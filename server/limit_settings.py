"""The settings of the GraphQL endpoint: what one request may ask for, and which documents run."""

from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, Field


class Executor(StrEnum):
    """What runs operations."""

    COMPILED = "compiled"
    GRAPHQL_CORE = "graphql-core"


class LimitSettings(BaseModel):
    """Bounds that hold for every request; whoever passes one is told which, and what was found."""

    max_body_bytes: int = Field(
        100_000, ge=1_000, description="The longest body of a request, in bytes."
    )
    max_tokens: int = Field(
        1_000,
        ge=10,
        le=20_000,
        description="The longest document, in tokens (names, braces, values and so on).",
    )
    max_depth: int = Field(
        20, ge=2, le=100, description="How deeply the selections of a document may be nested."
    )
    max_aliases: int = Field(30, ge=0, description="How many aliases a document may have.")
    max_repeats: int = Field(
        20,
        ge=0,
        description="How many fields and fragments of a document may stand in a selection that has"
        " them already.",
    )
    max_directives: int = Field(50, ge=0, description="How many directives a document may have.")
    max_fragments: int = Field(
        30, ge=0, le=200, description="How many named fragments a document may have."
    )
    max_root_fields: int = Field(
        20,
        ge=1,
        description="How many fields of `Query`, or of `Mutation`, one operation may have.",
    )
    max_cost: int = Field(
        10_000,
        ge=1,
        description="What an operation may cost: about how many fields its reply can have. A page"
        " counts as many times as its `first` or `last` says, or 50 times; another list 10 times.",
    )
    max_list_input: int = Field(
        100, ge=1, description="How many items a list in the input of an operation may have."
    )
    max_operation_seconds: float = Field(
        10.0,
        gt=0,
        le=600,
        description="Seconds after which the client of an operation is answered with an error. A"
        " query is cancelled then; a mutation runs to its end.",
    )
    executor: Executor = Field(
        Executor.COMPILED,
        description="`compiled` prepares each operation once; `graphql-core` interprets it anew at"
        " each request. Replies are the same; the second is a few times slower.",
    )
    sockets_per_address: int = Field(
        200,
        ge=1,
        description="How many WebSockets one network address may have open in one process. Behind"
        " a proxy all clients come from its address: set as many as there may be in all.",
    )
    failed_logins_per_hour: int = Field(
        1_000,
        ge=100,
        description="Failed sign-ins per hour, from all unknown devices together, past which such"
        " sign-ins are slowed down. Devices that have signed in before are not affected. Raise it"
        " for a site with more than 30,000 sign-ins per hour from unknown devices.",
    )
    request_timeout: float = Field(
        10.0,
        ge=0.1,
        le=600,
        description="Seconds that a client has for the head of a request, again for its body, and"
        " for each 16 KiB of a reply. Who is slower is answered 408, or cut off.",
    )
    trusted_documents: Path | None = Field(
        None,
        description="A manifest as GraphQL Code Generator and Relay write it, a JSON object of"
        " hashes and documents: clients may send `documentId` in the place of `query`.",
    )
