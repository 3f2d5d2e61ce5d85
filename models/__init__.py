"""The tables and the database handle. Imports no other layer."""
