"""The settings: what can be set, its defaults and where it is read from."""

from execution_history.settings.accounts import DEFAULT_ACCOUNT, AccountSettings, find_account, missing_settings
from execution_history.settings.loader import load_sandbox_settings, load_settings
from execution_history.settings.model import PREFIX, Settings

__all__ = [
    "DEFAULT_ACCOUNT",
    "PREFIX",
    "AccountSettings",
    "Settings",
    "find_account",
    "load_sandbox_settings",
    "load_settings",
    "missing_settings",
]
