"""An upstream that speaks the Coze workflow API on a socket of its own, for trials and tests without a network.

It stands for coze.cn or for Coze Studio. ``WORKFLOWS`` says what it can run and what each run is good for.
"""

from execution_history.sandbox.app import DEFAULT_TOKEN, create_sandbox
from execution_history.sandbox.dialect import Flavour
from execution_history.sandbox.server import AddressError, Sandbox, serve_sandbox
from execution_history.sandbox.workflows import WORKFLOWS, Setting, Workflow

__all__ = [
    "DEFAULT_TOKEN",
    "WORKFLOWS",
    "AddressError",
    "Flavour",
    "Sandbox",
    "Setting",
    "Workflow",
    "create_sandbox",
    "serve_sandbox",
]
