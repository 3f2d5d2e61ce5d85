"""The process: HTTP, configuration, command line. Imports `graph`, `auth` and `models`."""
