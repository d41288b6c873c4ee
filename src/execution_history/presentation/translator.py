"""Translate sentences with gettext's catalogues from the folder ``locale``.

A language is a folder of ``locale`` with a ``.po`` file; English stands in the code and needs none.
"""

import gettext
import io
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Final

from markupsafe import Markup, escape

from execution_history.errors import N_, Message, message_of, shortened
from execution_history.presentation.formatting import grouped, visible
from execution_history.presentation.po_file import compiled

DOMAIN: Final = "execution_history"
LOCALE: Final = Path(__file__).with_name("locale")
ENGLISH: Final = "en"

_NAME_OF_LANGUAGE: Final = N_("English")
"""Each language translates this by its own name."""

_TWO_SENTENCES: Final = N_("%(first)s %(second)s")

_NAMES_OF_VARIABLES: Final = ("LC_ALL", "LC_MESSAGES", "LANG")
_LONGEST_HEADER: Final = 500
_MOST_PARTS: Final = 4  # of a name: zh_Hans_CN has three
_END_OF_NAME: Final = re.compile("[.@]")


class Translator:
    """Translates sentences into one language.

    Args:
        language: the name of its folder, such as ``zh_CN``, or ``en``.
        catalogue: its translations.
    """

    def __init__(self, language: str, catalogue: gettext.NullTranslations) -> None:
        self.language = language
        self.tag = language.replace("_", "-")
        self.gettext = catalogue.gettext
        self.ngettext = catalogue.ngettext

    @property
    def name(self) -> str:
        """The language's own name for itself."""
        return self.gettext(_NAME_OF_LANGUAGE)

    @property
    def gap(self) -> str:
        """What stands between two sentences: a space, and nothing in Chinese."""
        return self.gettext(_TWO_SENTENCES) % {"first": "", "second": ""}

    def __call__(self, msgid: str, /, **arguments: object) -> str:
        """Return the sentence *msgid*; control characters in text among the *arguments* are shown, not sent."""
        return self.gettext(msgid) % self._shown(arguments)

    def plural(self, singular: str, plural: str, count: int, /, **arguments: object) -> str:
        """Return the form of the sentence for *count*; ``num`` is *count* in groups, unless passed as an argument."""
        return self.ngettext(singular, plural, count) % self._shown({"num": grouped(count), **arguments})

    def markup(self, msgid: str, /, **arguments: object) -> Markup:
        """Return the sentence as HTML: escaped, with the writing direction of each text argument isolated.

        An argument that is HTML already stays as it is.
        """
        shown = {
            name: isolated(value) if isinstance(value, str) and not isinstance(value, Markup) else value
            for name, value in arguments.items()
        }
        return escape(self.gettext(msgid)) % shown

    def message(self, sentence: str, longest: int | None = None) -> str:
        """Return *sentence* translated where it is a :class:`Message`; other text is returned as it is.

        Args:
            sentence: what to translate.
            longest: how many characters of each text argument are shown; ``None`` shows all.
        """
        if not isinstance(sentence, Message) or not sentence.msgid:  # gettext has the header of its file for none
            return str(sentence)
        translated = self.gettext(sentence.msgid)
        return translated % self._shown(sentence.arguments, longest) if sentence.arguments else translated

    def _shown(self, arguments: Mapping[str, object], longest: int | None = None) -> dict[str, object]:
        texts = {
            name: message_of(value) if isinstance(value, Exception) else value for name, value in arguments.items()
        }
        return {name: self._text(value, longest) if isinstance(value, str) else value for name, value in texts.items()}

    def _text(self, text: str, longest: int | None) -> str:
        text = visible(self.message(text, longest))
        return text if longest is None else shortened(text, longest)


class Languages:
    """The available languages.

    Args:
        folder: where their catalogues are, a folder for each.
    """

    def __init__(self, folder: Path = LOCALE) -> None:
        self._folder = folder
        self._known: dict[str, Translator] = {}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Their names, English first."""
        return (ENGLISH, *sorted(file.parent.parent.name for file in self._folder.glob(f"*/LC_MESSAGES/{DOMAIN}.po")))

    def __getitem__(self, name: str) -> Translator:
        """Return the translator for the language *name*."""
        if name not in self._known:
            catalogue = gettext.NullTranslations() if name == ENGLISH else self._catalogue(name)
            self._known[name] = Translator(name, catalogue)
        return self._known[name]

    def best(self, names: Iterable[str]) -> Translator:
        """Return the first available of the languages *names*, or a relative of it; else English."""
        return self.find(names) or self[ENGLISH]

    def find(self, names: Iterable[str]) -> Translator | None:
        """Return the first available of the languages *names*, or a relative of it; ``None`` without one."""
        for name in names:
            parts = _END_OF_NAME.split(name)[0].replace("-", "_").casefold().split("_")
            for length in range(min(len(parts), _MOST_PARTS), 0, -1):
                for known in self.names:
                    if known.casefold().split("_")[:length] == parts[:length]:
                        return self[known]
        return None

    def of_environment(self, environment: Mapping[str, str]) -> Translator:
        """Return the language that POSIX locale variables name (``LC_ALL`` before ``LC_MESSAGES`` before ``LANG``).

        ``LANGUAGE`` stands above them unless the locale is C, as in GNU gettext.
        """
        locale = next((environment[name] for name in _NAMES_OF_VARIABLES if environment.get(name)), "C")
        if locale.partition(".")[0] in {"C", "POSIX"}:
            return self[ENGLISH]
        return self.best([*environment.get("LANGUAGE", "").split(":"), locale])

    def of_header(self, accept_language: str) -> Translator:
        """Return the language that an ``Accept-Language`` header prefers."""
        weighted: list[tuple[float, str]] = []
        for part in accept_language[:_LONGEST_HEADER].split(","):
            name, _, quality = part.strip().partition(";q=")
            try:
                weight = float(quality) if quality else 1.0
            except ValueError:
                weight = 0.0
            if weight > 0 and name:
                weighted.append((-weight, name))
        # The sort is stable: of equal weights the first one wins.
        return self.best(name for _, name in sorted(weighted, key=lambda each: each[0]))

    def _catalogue(self, name: str) -> gettext.NullTranslations:
        """Return the translations of a language, from its ``.mo`` file unless the ``.po`` file is newer."""
        source = self._folder / name / "LC_MESSAGES" / f"{DOMAIN}.po"
        target = source.with_suffix(".mo")
        try:
            if target.stat().st_mtime >= source.stat().st_mtime:
                with target.open("rb") as file:
                    return gettext.GNUTranslations(file)
        except FileNotFoundError:
            pass
        return gettext.GNUTranslations(io.BytesIO(compiled(source.read_text("utf-8"))))


LANGUAGES: Final = Languages()


def isolated(text: str) -> Markup:
    """Return *text* as HTML: escaped, its control characters shown, its writing direction isolated."""
    return Markup(f"<bdi>{escape(visible(str(text)))}</bdi>")  # noqa: S704 - escaped
