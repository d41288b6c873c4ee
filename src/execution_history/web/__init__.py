"""The HTTP application: the JSON routes, their documentation, and what guards them."""

from execution_history.web.application import create_app
from execution_history.web.routes import history_router

__all__ = ["create_app", "history_router"]
