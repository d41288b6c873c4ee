"""What follows the change feed of a history."""

from execution_history.followers.live import Following, LiveEvent, LiveFeed

__all__ = ["Following", "LiveEvent", "LiveFeed"]
