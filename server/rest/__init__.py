"""The endpoints beside GraphQL: OAuth 2, health, metrics, pages."""
