"""Parses, limits, validates and caches documents."""
