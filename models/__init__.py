"""The tables and the database handle. Imports nothing of ours."""
