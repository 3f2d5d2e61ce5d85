"""Example services that verify access tokens with Postern's public keys."""
