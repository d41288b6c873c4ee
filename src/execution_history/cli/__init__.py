"""The command line: ``execution-history``."""

from execution_history.cli.app import main

__all__ = ["main"]
