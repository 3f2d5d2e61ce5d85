"""Examples, each run by the tests."""
