"""Errors of the GraphQL API: user errors in payloads, and GraphQL errors."""
