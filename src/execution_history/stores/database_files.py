"""The names of the databases in the folder of an embedded store; known without loading the store."""

from typing import Final

DATABASE: Final = "history.db"
INDEX_DATABASE: Final = "index.db"
