"""The HTTP application: the JSON routes, their documentation, the pages, and their protection."""

from execution_history.web.api import history_router
from execution_history.web.application import create_app

__all__ = ["create_app", "history_router"]
