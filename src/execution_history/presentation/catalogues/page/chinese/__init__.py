"""Everything the page says, in Chinese; a module for each kind of page."""

from typing import Final

from execution_history.presentation.catalogues.page.chinese.everywhere import EVERYWHERE
from execution_history.presentation.catalogues.page.chinese.failures import FAILURES
from execution_history.presentation.catalogues.page.chinese.lists import LISTS
from execution_history.presentation.catalogues.page.chinese.overview import OVERVIEW
from execution_history.presentation.catalogues.page.chinese.run import RUN

PARTS: Final = (EVERYWHERE, RUN, FAILURES, OVERVIEW, LISTS)
CHINESE: Final[dict[str, str]] = {key: sentence for part in PARTS for key, sentence in part.items()}
