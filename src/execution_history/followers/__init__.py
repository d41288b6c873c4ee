"""What follows the change feed of a history.

What stood here is handed on from where it is now, with a warning, for one release.
"""

import warnings
from typing import Any, Final

from execution_history.history import live_feed

_MOVED: Final = {
    "Following": ("FeedSubscription", "what service.follow() returns"),
    "LiveEvent": ("LiveEvent", "execution_history.history.live_feed.LiveEvent"),
    "LiveFeed": ("LiveFeed", "behind service.follow()"),
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    if name not in _MOVED:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    new, place = _MOVED[name]
    warnings.warn(
        f"{__name__}.{name} is {place} now; the old name goes with the next release.", DeprecationWarning, stacklevel=2
    )
    return getattr(live_feed, new)
