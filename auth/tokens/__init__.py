"""Access tokens, refresh tokens, link tokens and signing keys."""
