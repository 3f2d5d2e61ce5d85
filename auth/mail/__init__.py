"""Email: the outbox, the templates and the transports."""
