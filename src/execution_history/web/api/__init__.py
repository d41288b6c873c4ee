"""The JSON routes: each reads its parameters, makes one call and answers."""

from execution_history.web.api.doctor import doctor_router
from execution_history.web.api.health import health_router
from execution_history.web.api.router import history_router

__all__ = ["doctor_router", "health_router", "history_router"]
