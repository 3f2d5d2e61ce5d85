"""Trusted documents: clients send `documentId` instead of `query`.

https://benjie.dev/graphql/trusted-documents
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from graphql import GraphQLError, parse

from graph.documents.parsing import operations_of

# GraphQL over HTTP, appendix "Persisted Documents": the optional prefix of a document ID.
_PREFIX = "sha256:"


class InvalidManifest(Exception):
    """The manifest is not valid."""


@dataclass(frozen=True, slots=True)
class TrustedDocuments:
    """Trusted documents by ID. If `only` is set, all other documents are refused.

    `built_in` holds the documents of Postern's own pages, which send them as `query`.
    """

    documents: Mapping[str, str] = field(default_factory=dict)
    only: bool = False
    built_in: frozenset[str] = frozenset()

    @classmethod
    def read(cls, path: Path, *, only: bool) -> "TrustedDocuments":
        """Reads a manifest of GraphQL Code Generator or Relay: `{hash: document}`.

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
        return cls({_without_prefix(name): document for name, document in manifest.items()}, only)

    def allows_text(self, text: str) -> bool:
        """Returns whether a document may be sent as text."""
        return not self.only or text in self.built_in

    def find(self, document_id: str) -> str | None:
        """Returns the document with this ID."""
        return self.documents.get(_without_prefix(document_id))


def _without_prefix(document_id: str) -> str:
    return document_id.removeprefix(_PREFIX)


def names_of_operations(document_id: str, text: str) -> list[str | None]:
    """Returns the names of the operations of a document. Raises InvalidManifest."""
    try:
        operations = operations_of(parse(text))
    except GraphQLError as error:
        raise InvalidManifest(f"the document {document_id} is not valid: {error.message}") from None
    return [operation.name.value if operation.name else None for operation in operations]
