"""The rules: plain Python, no HTTP and no GraphQL. Imports `models` only."""
