"""Compiled operations: what can be done once per document is not done again per request.

A validated operation becomes a tree of closures that call the resolvers in the order in which
graphql-core would, and build the same reply: data, errors, paths and locations. What a tree cannot
express runs on graphql-core. Knows GraphQL and Strawberry, and nothing of accounts.
"""
