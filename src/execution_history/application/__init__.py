"""The composition root: settings in, one opened application out."""

from execution_history.application.composition import DATABASE_SECONDS, open_application
from execution_history.application.parts import Application, Demo, trouble_told

__all__ = ["DATABASE_SECONDS", "Application", "Demo", "open_application", "trouble_told"]
