"""What was documented goes on working for one release."""

import importlib

import pytest

from execution_history import ExecutionHistoryService
from execution_history.history import live_feed
from execution_history.web import history_router

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("name", "now"), [("Following", "FeedSubscription"), ("LiveEvent", "LiveEvent"), ("LiveFeed", "LiveFeed")]
)
def test_a_documented_name_is_handed_on_with_a_warning(name: str, now: str) -> None:
    """What ``execution_history.followers`` gave is still there, and the warning says where it is from now on."""
    followers = importlib.import_module("execution_history.followers")
    with pytest.warns(DeprecationWarning, match=rf"followers\.{name} is .*(live_feed\.{name}|service\.follow\(\))"):
        assert getattr(live_feed, now) is getattr(followers, name)


async def test_the_documented_way_through_the_store_still_follows() -> None:
    """``LiveFeed(service.store).follow()`` gives the events that ``service.follow()`` gives."""
    followers = importlib.import_module("execution_history.followers")
    with pytest.warns(DeprecationWarning, match="service.follow"):
        old = followers.LiveFeed
    async with ExecutionHistoryService("memory:") as service:
        feed = old(service.store)
        async with feed.follow() as before, service.follow() as now:
            await service.create_execution_record("w", "a")
            assert await before.take() == await now.take()
        await feed.aclose()


async def test_a_router_with_a_feed_of_its_own_warns() -> None:
    """It follows the service from now on."""
    async with ExecutionHistoryService("memory:") as service:
        with pytest.warns(DeprecationWarning, match="follows the service itself"):
            history_router(service, live=service.live)


def test_other_names_are_not_there() -> None:
    """A name that never stood there is an AttributeError, as everywhere."""
    followers = importlib.import_module("execution_history.followers")
    assert not hasattr(followers, "Notifications")
