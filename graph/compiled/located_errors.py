"""Execution errors with their location in the document and their path in the reply."""

from functools import cached_property
from typing import Any

from graphql import FieldNode, GraphQLError, located_error


class Nodes(list[FieldNode]):
    """The nodes of one field. Their location in the text is computed once."""

    @cached_property
    def located_error(self) -> GraphQLError:
        """An error with this location, which other errors copy."""
        return GraphQLError("", self)


class FieldError(GraphQLError):
    """An exception of a resolver, located at its field.

    Equal to the result of graphql-core's `located_error`, which computes the location each time.
    """

    def __init__(self, message: str, error: Exception, nodes: Nodes, path: list[Any]) -> None:
        Exception.__init__(self, message)
        located = nodes.located_error
        self.message = message
        self.cause = self.original_error = error
        self.path = path
        self.nodes = nodes  # type: ignore[assignment] # a list of nodes in fact
        self.source = located.source
        self.positions = located.positions
        self.locations = located.locations
        self.extensions = {}


def error_at(error: Exception, nodes: Nodes, path: list[Any]) -> GraphQLError:
    """Returns the error with its location."""
    if isinstance(error, GraphQLError) or _has_location(error):
        return located_error(error, nodes, path)
    return FieldError(str(getattr(error, "message", error)), error, nodes, path)


def _has_location(error: Exception) -> bool:
    if hasattr(error, "source") or hasattr(error, "positions"):
        return True
    return hasattr(error, "nodes") or hasattr(error, "extensions")
