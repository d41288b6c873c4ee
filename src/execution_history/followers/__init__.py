"""What follows the change feed of a history.

What stood here is handed on from where it is now, with a warning, for one release.
"""

import importlib
import warnings
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from execution_history.history.live_feed import Following, LiveEvent, LiveFeed

__all__ = ["Following", "LiveEvent", "LiveFeed"]

_MOVED: Final = {
    "Following": "execution_history.history.live_feed",
    "LiveEvent": "execution_history.history.live_feed",
    "LiveFeed": "execution_history.history.live_feed",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    if name not in _MOVED:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    warnings.warn(
        f"{__name__}.{name} is {_MOVED[name]}.{name} now; the old name goes with the next release.",
        DeprecationWarning,
        stacklevel=2,
    )
    return getattr(importlib.import_module(_MOVED[name]), name)
