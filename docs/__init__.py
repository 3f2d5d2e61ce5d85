"""The pages, and what writes or builds them."""
