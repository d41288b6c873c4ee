"""The pages for people: made on the server, useful before any script has run."""

from execution_history.web.pages.routes import add_pages

__all__ = ["add_pages"]
