"""What the text that names a store names."""

from pathlib import Path

import pytest

from execution_history.errors import SettingsError
from execution_history.stores import place_named


@pytest.mark.parametrize(
    "location",
    [
        "host=127.0.0.1 port=5432 password=geheim dbname=history",
        "application_name=x  dbname = history",
        "service=geheim",
        "history@db.example.com/history",
        "history@127.0.0.1:5432/history",
        "history:geheim@db.example.com/history",
        "my_user:geh/e@im@db.example.com:5432/history",
        "history@db.example.com:5432",
        "127.0.0.1:5432/history",
        "localhost:5432",
        "[::1]:5432/history",
    ],
)
def test_the_address_of_a_database_without_its_scheme_is_refused(location: str) -> None:
    """It would become a folder, whose name may have a password."""
    with pytest.raises(SettingsError, match="postgresql://user@host:port/database") as refused:
        place_named(location)
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize(
    "location",
    [
        "data/execution_history",
        "/var/lib/execution-history",
        "./history@2024/runs",
        "runs@2024",
        "data/user=me/runs",
        "my-host=a",
        "~me/history",
        "历史",
        r"C:\\Users\\me@example.com\\history",
        "C:history",
    ],
)
def test_a_folder_is_a_folder(location: str) -> None:
    """Also with characters that addresses have; whatever it is called, sqlite: before it makes it one."""
    assert Path(location) == place_named(location).folder
    assert Path("host=x") == place_named("sqlite:host=x").folder
    assert Path("me@host:1/db") == place_named("sqlite:me@host:1/db").folder
