"""Faults: processes die, databases are unreachable, clocks jump, secrets change."""
