"""How many examples the tests of properties draw: few at each change, twenty times as many in a thorough run."""

from typing import Any, Final

from hypothesis import HealthCheck, settings

_USUAL: Final = 50


def register_profiles() -> None:
    """Load the usual profile; ``--hypothesis-profile thorough`` chooses the other."""
    settings.register_profile(
        "usual", max_examples=_USUAL, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    settings.register_profile("thorough", settings.get_profile("usual"), max_examples=20 * _USUAL)
    settings.load_profile("usual")


def examples(number: int, **more: Any) -> settings:
    """Draw *number* examples, for what costs too much for fifty; twenty times as many in a thorough run."""
    chosen = settings.default
    assert chosen is not None
    return settings(max_examples=number * chosen.max_examples // _USUAL, **more)
