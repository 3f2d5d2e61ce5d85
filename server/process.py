"""What each worker process runs."""

from fastapi import FastAPI

from server.app import create_app
from server.environment import load_settings
from server.logs import configure_logs


def app() -> FastAPI:
    """The server after the environment, with its logs."""
    settings = load_settings()
    configure_logs(for_people=settings.in_development)
    return create_app(settings)
