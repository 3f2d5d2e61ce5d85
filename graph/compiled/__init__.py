"""Compiled operations: work that depends only on the document is done once per document.

A validated operation becomes a tree of closures. They call the resolvers in the order of
graphql-core, and build the same reply: data, errors, paths and locations. Operations that closures
cannot express run on graphql-core. This package knows GraphQL and Strawberry, but no accounts.
"""
