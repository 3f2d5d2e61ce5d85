"""The documentation pages, and the scripts that generate and check them."""
