"""The settings that limit requests, sign-ins and GraphQL documents."""

from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, Field


class Executor(StrEnum):
    """How GraphQL operations are executed."""

    COMPILED = "compiled"
    GRAPHQL_CORE = "graphql-core"


class LimitSettings(BaseModel):
    """The limits of requests, and the settings of GraphQL execution."""

    max_body_bytes: int = Field(
        100_000, ge=1_000, description="The maximum size of a request body, in bytes."
    )
    max_tokens: int = Field(
        1_000,
        ge=10,
        le=20_000,
        description="The maximum length of a document, in tokens (names, braces, values, …).",
    )
    max_depth: int = Field(
        20, ge=2, le=100, description="The maximum depth of nested selections in a document."
    )
    max_aliases: int = Field(30, ge=0, description="The maximum number of aliases in a document.")
    max_repeats: int = Field(
        20,
        ge=0,
        description="The maximum number of fields and fragments in a document that are repeated in"
        " the same selection.",
    )
    max_directives: int = Field(
        50, ge=0, description="The maximum number of directives in a document."
    )
    max_fragments: int = Field(
        30, ge=0, le=200, description="The maximum number of named fragments in a document."
    )
    max_root_fields: int = Field(
        20,
        ge=1,
        description="The maximum number of root fields (of `Query` or `Mutation`) in an operation.",
    )
    max_cost: int = Field(
        10_000,
        ge=1,
        description="The maximum cost of an operation: about the number of fields in its reply. The"
        " fields of a connection are multiplied by `first` or `last` (without them by 50), those of"
        " another list by 10.",
    )
    max_list_input: int = Field(
        100, ge=1, description="The maximum number of items of a list in an input."
    )
    max_operation_seconds: float = Field(
        10.0,
        gt=0,
        le=600,
        description="The maximum duration of an operation, in seconds. After it, the client gets an"
        " error: a query is cancelled, but a mutation continues to run.",
    )
    executor: Executor = Field(
        Executor.COMPILED,
        description="`compiled` compiles each operation once; `graphql-core` interprets it at each"
        " request. Replies are the same; `graphql-core` is a few times slower.",
    )
    sockets_per_address: int = Field(
        200,
        ge=1,
        description="The maximum number of open WebSockets per client address and process. Behind"
        " a proxy without `POSTERN_TRUSTED_PROXIES` all clients share its address, so set the"
        " number for all clients together.",
    )
    failed_logins_per_hour: int = Field(
        1_000,
        ge=100,
        description="The number of failed sign-ins per hour from all unknown devices together."
        " Above it, sign-ins from unknown devices are throttled. Devices that have signed in before"
        " are not affected. Raise it for a site with more than 30,000 sign-ins per hour from"
        " unknown devices.",
    )
    request_timeout: float = Field(
        10.0,
        ge=0.1,
        le=600,
        description="The seconds that a client has to send the head of a request, to send its body,"
        " and to read each 16 KiB of the reply. A slower client gets 408 or is disconnected.",
    )
    trusted_documents: Path | None = Field(
        None,
        description="The manifest of trusted documents: a JSON object of hashes and documents, as"
        " written by GraphQL Code Generator and Relay. Clients can send `documentId` instead of"
        " `query`.",
    )
