"""Trusted documents: those that the team's own frontends send, known by their hash.

https://benjie.dev/graphql/trusted-documents; clients send `documentId` instead of `query`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from graphql import GraphQLError, parse

from graph.documents.parsing import operations_of

# The appendix on persisted documents of GraphQL over HTTP writes ids like this.
_PREFIX = "sha256:"


class InvalidManifest(Exception):
    """The file is no manifest; says why."""


@dataclass(frozen=True, slots=True)
class TrustedDocuments:
    """The documents by their ids; `only` refuses every other.

    `built_in` are the exact texts that Postern's own pages send as `query`.
    """

    documents: Mapping[str, str] = field(default_factory=dict)
    only: bool = False
    built_in: frozenset[str] = frozenset()

    @classmethod
    def read(cls, path: Path, *, only: bool) -> "TrustedDocuments":
        """Reads what GraphQL Code Generator and Relay write: `{hash: document}`.

        Raises InvalidManifest.
        """
        try:
            manifest = orjson.loads(path.read_bytes())
        except OSError as error:
            raise InvalidManifest(f"{path} cannot be read: {error.strerror}") from None
        except orjson.JSONDecodeError:
            raise InvalidManifest(f"{path} is not JSON") from None
        if not isinstance(manifest, dict) or not all(
            isinstance(document, str) for document in manifest.values()
        ):
            raise InvalidManifest(f'{path} is not of the form {{"hash": "document"}}')
        return cls({_bare(name): document for name, document in manifest.items()}, only)

    def allows_text(self, text: str) -> bool:
        """Whether a document may be sent as text."""
        return not self.only or text in self.built_in

    def find(self, document_id: str) -> str | None:
        """The document with this id."""
        return self.documents.get(_bare(document_id))


def _bare(document_id: str) -> str:
    return document_id.removeprefix(_PREFIX)


def names_of_operations(document_id: str, text: str) -> list[str | None]:
    """The operations of a document. Raises InvalidManifest."""
    try:
        operations = operations_of(parse(text))
    except GraphQLError as error:
        raise InvalidManifest(f"the document {document_id}: {error.message}") from None
    return [operation.name.value if operation.name else None for operation in operations]
