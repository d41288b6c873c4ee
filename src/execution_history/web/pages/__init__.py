"""The pages for people: rendered on the server, useful before any script has run."""

from execution_history.web.pages.routes import add_pages

__all__ = ["add_pages"]
