"""GraphQL over HTTP: endpoint, requests, replies, time limits."""
