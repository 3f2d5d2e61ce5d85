"""Errors at their place in the document and in the reply."""

from functools import cached_property
from typing import Any

from graphql import FieldNode, GraphQLError, located_error


class Nodes(list[FieldNode]):
    """The nodes of one field, and where in the text they stand: that is looked up once."""

    @cached_property
    def place(self) -> GraphQLError:
        """An error there, of which all others there have their place."""
        return GraphQLError("", self)


class FieldError(GraphQLError):
    """An exception of a resolver, told at its field.

    What it holds is what graphql-core's `located_error` finds out for each error anew.
    """

    def __init__(self, message: str, error: Exception, nodes: Nodes, path: list[Any]) -> None:
        Exception.__init__(self, message)
        place = nodes.place
        self.message = message
        self.cause = self.original_error = error
        self.path = path
        self.nodes = nodes  # type: ignore[assignment] # a list of nodes in fact
        self.source = place.source
        self.positions = place.positions
        self.locations = place.locations
        self.extensions = {}


def error_at(error: Exception, nodes: Nodes, path: list[Any]) -> GraphQLError:
    """The error with its place."""
    if isinstance(error, GraphQLError) or _has_a_place_of_its_own(error):
        return located_error(error, nodes, path)
    return FieldError(str(getattr(error, "message", error)), error, nodes, path)


def _has_a_place_of_its_own(error: Exception) -> bool:
    if hasattr(error, "source") or hasattr(error, "positions"):
        return True
    return hasattr(error, "nodes") or hasattr(error, "extensions")
