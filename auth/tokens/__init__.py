"""Tokens: what is issued, how it is signed, and how it is verified."""
