"""The HTTP application: the JSON routes, their documentation, and what guards them."""

from execution_history.web.api import history_router
from execution_history.web.application import create_app

__all__ = ["create_app", "history_router"]
