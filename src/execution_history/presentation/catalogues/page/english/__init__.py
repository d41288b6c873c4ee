"""Everything the page says, in English; a module for each kind of page."""

from typing import Final

from execution_history.presentation.catalogues.page.english.everywhere import EVERYWHERE
from execution_history.presentation.catalogues.page.english.failures import FAILURES
from execution_history.presentation.catalogues.page.english.lists import LISTS
from execution_history.presentation.catalogues.page.english.overview import OVERVIEW
from execution_history.presentation.catalogues.page.english.run import RUN

PARTS: Final = (EVERYWHERE, RUN, FAILURES, OVERVIEW, LISTS)
ENGLISH: Final[dict[str, str]] = {key: sentence for part in PARTS for key, sentence in part.items()}
