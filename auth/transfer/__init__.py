"""Import and export of many users."""
