"""What the page says, in the reader's language. Pure."""

from typing import Final

from markupsafe import Markup, escape

from execution_history.presentation.catalogues.page.chinese import CHINESE
from execution_history.presentation.catalogues.page.english import ENGLISH
from execution_history.presentation.formatting import visible

LANGUAGES: Final = {"en": ENGLISH, "zh": CHINESE}
TAGS: Final = {"en": "en", "zh": "zh-CN"}
"""The languages as HTML's ``lang`` names them."""


_THIN: Final = "\u202f"


def thin(number: int | None) -> str:
    """``12 345``, its groups kept together by narrow spaces; nothing for ``None``."""
    return "" if number is None else f"{number:,}".replace(",", _THIN)


class Speech:
    """Every sentence of the page, by its key, in one language.

    Args:
        language: ``en`` or ``zh``.
    """

    def __init__(self, language: str = "en") -> None:
        self.language = language
        self.tag = TAGS[language]
        self._sentences = LANGUAGES[language]

    def __call__(self, key: str, /, **facts: object) -> str:
        """The sentence with this *key*; text among the *facts* has its control characters shown."""
        shown = {name: visible(fact) if isinstance(fact, str) else fact for name, fact in facts.items()}
        return self._sentences[key].format_map(shown)

    def number(self, key: str, count: int) -> str:
        """The sentence with this *key* for so many; ``key.one`` for a single one."""
        return self._sentences[f"{key}.one" if count == 1 else key].format(count=thin(count))

    def markup(self, key: str, /, **facts: object) -> Markup:
        """The same for a page: everything escaped, and each text fact kept from turning its surroundings round."""
        shown = {name: isolated(fact) if isinstance(fact, str) else fact for name, fact in facts.items()}
        return escape(self._sentences[key]).format(**shown)

    def knows(self, key: str) -> bool:
        """Whether there is such a sentence."""
        return key in self._sentences


def isolated(text: str) -> Markup:
    """*text* as HTML: escaped, its control characters shown, its direction its own."""
    return Markup("<bdi>{}</bdi>").format(visible(str(text)))


def language_of(header: str) -> str:
    """The language that an ``Accept-Language`` header asks for first of those we speak; English when none."""
    wanted: list[tuple[float, str]] = []
    for part in header[:500].split(","):
        name, _, quality = part.strip().partition(";q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            weight = 0.0
        primary = name.lower().partition("-")[0]
        if weight > 0 and primary in LANGUAGES:
            wanted.append((-weight, primary))
    # The sort is stable: of equals the one named first wins.
    return min(wanted, key=lambda each: each[0])[1] if wanted else "en"
