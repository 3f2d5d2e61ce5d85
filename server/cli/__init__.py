"""The `postern` command."""
