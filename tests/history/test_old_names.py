"""Import paths that were documented go on working for one release."""

import importlib

import pytest

from execution_history.history import live_feed


@pytest.mark.parametrize("name", ["Following", "LiveEvent", "LiveFeed"])
def test_a_documented_name_is_handed_on_with_a_warning(name: str) -> None:
    """What ``execution_history.followers`` gave is what stands at its new place."""
    followers = importlib.import_module("execution_history.followers")
    with pytest.warns(DeprecationWarning, match=rf"{name} is execution_history\.history\.live_feed\.{name} now"):
        assert getattr(live_feed, name) is getattr(followers, name)


def test_other_names_are_not_there() -> None:
    """A name that never stood there is an AttributeError, as everywhere."""
    followers = importlib.import_module("execution_history.followers")
    assert not hasattr(followers, "Notifications")
