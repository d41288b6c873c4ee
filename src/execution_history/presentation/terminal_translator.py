"""In which language the command line speaks, and how a sentence gets its facts. Pure."""

import sys
from collections.abc import Mapping
from typing import Final

from execution_history.errors import shortened
from execution_history.presentation.catalogues.terminal.chinese import CHINESE
from execution_history.presentation.catalogues.terminal.english import ENGLISH
from execution_history.presentation.formatting import visible

LANGUAGES: Final = {"en": ENGLISH, "zh": CHINESE}

_LONGEST_IN_ERRORS: Final = 400
"""Characters of a fact in an error: an id may have a thousand, and several may be named."""


class Speech:
    """Every sentence of the command line, by its key, in one language.

    Args:
        language: ``en`` or ``zh``.
    """

    def __init__(self, language: str = "en") -> None:
        self.language = language
        self._sentences = LANGUAGES[language]

    def __call__(self, key: str, /, **facts: object) -> str:
        """The sentence with this *key*; text among the *facts* is made harmless for a terminal, and cut in an error.

        Where ``count`` is one, the sentence under ``key.one`` is meant, if there is one.
        """
        if str(facts.get("count")) == "1" and self.knows(f"{key}.one"):
            key = f"{key}.one"
        most = _LONGEST_IN_ERRORS if key.startswith("error.") else sys.maxsize
        shown = {
            name: shortened(visible(fact), most) if isinstance(fact, str) else fact for name, fact in facts.items()
        }
        return self._sentences[key].format_map(shown)

    def text(self, key: str) -> str:
        """The text with this *key* as it stands, braces and all."""
        return self._sentences[key]

    def knows(self, key: str) -> bool:
        """Whether there is such a sentence."""
        return key in self._sentences


def language_of(environment: Mapping[str, str]) -> str:
    """The language that POSIX locale variables ask for (``LC_ALL`` before ``LC_MESSAGES`` before ``LANG``).

    ``LANGUAGE`` stands above them unless the locale is C, as in GNU gettext.
    """
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    locale = next((environment[name] for name in names if environment.get(name)), "C")
    if locale.partition(".")[0] in {"C", "POSIX"}:
        return "en"
    wanted = [*environment.get("LANGUAGE", "").split(":"), locale]
    first = next(language for language in wanted if language)
    return "zh" if first.lower().startswith("zh") else "en"
