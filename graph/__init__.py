"""The GraphQL API. Imports `auth` and `models`."""
