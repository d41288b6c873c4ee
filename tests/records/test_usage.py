"""The tokens that a run used: one reader for every name in use."""

from typing import Any

import pytest

from execution_history.records.usage import Usage, usage_of


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"input_count": 50, "output_count": 100, "token_count": 150}, Usage(50, 100, 150)),
        ({"token_count": 5, "input_count": 1}, Usage(1, None, 5)),
        ({"total_tokens": 6}, Usage(total=6)),
        ({"tokens": 100}, Usage(total=100)),
        ({"input_count": 2, "output_count": 3}, Usage(2, 3, 5)),
        ({"input_tokens": 2, "output_tokens": 3}, Usage(2, 3, 5)),
        ({"prompt_tokens": 7, "completion_tokens": 1}, Usage(7, 1, 8)),
        ({"input_tokens": 2}, Usage(2, None, 2)),
        ({"tokens": 5, "total_tokens": 9}, Usage(total=9)),
        ({"token_count": True, "tokens": 4.0}, Usage(total=4)),
        ({"token_count": "5"}, Usage()),
        ({"token_count": 2**63}, Usage()),
        ({"token_count": -1, "input_count": -1, "output_count": 4.5}, Usage()),
        ("many", Usage()),
        ([1], Usage()),
        (None, Usage()),
    ],
)
def test_tokens_are_found_under_every_name_in_use(usage: Any, expected: Usage) -> None:
    """A total, or the sum of what is known of it; what is no count is not there."""
    assert expected == usage_of(usage)
