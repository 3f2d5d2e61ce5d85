"""Services that only verify: what they need of Postern is its public keys."""
