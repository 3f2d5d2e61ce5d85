"""The servers that Postern is measured beside, each written as its own documentation shows."""
