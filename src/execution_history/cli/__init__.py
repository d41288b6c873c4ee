"""The command line: ``execution-history``."""

from execution_history.cli.commands import main

__all__ = ["main"]
