"""The translations: `update` takes new sentences in, `check` fails where one is missing, `add` begins a language.

    python scripts/languages.py check
    python scripts/languages.py update
    python scripts/languages.py add de

`--locale FOLDER` works on catalogues elsewhere.
"""

import argparse
import contextlib
import io
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from babel import Locale
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from execution_history import errors

_SOURCE: Final = Path(__file__).parent.parent / "src" / "execution_history"
_LOCALE: Final = _SOURCE / "presentation" / "locale"
_DOMAIN: Final = "execution_history"
_METHODS: Final = [("**.py", "python"), ("web/templates/**.html", "jinja2.ext:babel_extract")]
_KEYWORDS: Final = {
    "_": None, "N_": None, "translate": None, "markup": None, "Message": None, "ngettext": (1, 2), "plural": (1, 2),
    "CommandFailed": None, "notice": None,
}  # fmt: skip
"""What marks a sentence, beside the classes of ``errors``: which arguments are sentences, by default the first."""

_WIDTH: Final = 120
_PLACEHOLDER: Final = re.compile(r"%\(\w+\)s|\{\w*\}")


def extracted() -> Catalog:
    """Return every sentence in the code and the templates."""
    catalog = Catalog(domain=_DOMAIN, project="execution-history", fuzzy=False)
    for file, _, sentence, comments, context in _sentences():
        catalog.add(sentence, locations=[(file, 0)], auto_comments=comments, context=context)
    return catalog


@cache
def _sentences() -> list[tuple[str, int, str | tuple[str, ...], list[str], str | None]]:
    keywords = {**_KEYWORDS, **dict.fromkeys(_error_classes())}
    options = {"web/templates/**.html": {"trimmed": "true", "silent": "false"}}
    found = extract_from_dir(_SOURCE, _METHODS, options, keywords, comment_tags=("Translators:",))
    with contextlib.redirect_stderr(io.StringIO()):  # it warns of every f-string, also where no sentence is meant
        return list(found)


def _error_classes() -> Iterator[str]:
    return (name for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, Exception))


def files_in(locale: Path) -> list[Path]:
    """Return the ``.po`` file of every language in the folder *locale*."""
    return sorted(locale.glob(f"*/LC_MESSAGES/{_DOMAIN}.po"))


def read(file: Path) -> Catalog:
    """Return the catalogue in *file*."""
    with file.open("rb") as content:
        return read_po(content, locale=file.parent.parent.name, domain=_DOMAIN, abort_invalid=True)


def write(file: Path, catalog: Catalog) -> None:
    """Write *catalog* into *file*, by source file, so that a change of lines is none here."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as content:
        write_po(
            content, catalog, width=_WIDTH, sort_by_file=True, include_lineno=False, ignore_obsolete=True,
            omit_header=False,
        )  # fmt: skip


def update(locale: Path) -> None:
    """Take the sentences of the code into every catalogue; what only resembles an old one becomes fuzzy."""
    template = extracted()
    for file in files_in(locale):
        catalog = read(file)
        catalog.update(template, no_fuzzy_matching=False, update_creation_date=False)
        write(file, catalog)


def add(locale: Path, language: str) -> Path:
    """Begin the catalogue of a *language* and return its file.

    Raises:
        babel.UnknownLocaleError: nothing is known of the language, its plural forms among it.
    """
    file = locale / language / "LC_MESSAGES" / f"{_DOMAIN}.po"
    catalog = Catalog(Locale.parse(language), domain=_DOMAIN, project="execution-history", fuzzy=False)
    catalog.update(extracted())
    write(file, catalog)
    return file


def problems(file: Path, template: Catalog) -> Iterator[str]:
    """Yield what is missing, fuzzy, stale or malformed in a catalogue, a line each."""
    catalog = read(file)
    for message in template:
        if message.id and (message.id not in catalog or not _is_whole(catalog[message.id], catalog)):
            yield f"missing: {message.id!r}"
    for message in catalog:
        if not message.id:
            continue
        if message.fuzzy:
            yield f"fuzzy: {message.id!r}"
        if message.id not in template:
            yield f"stale: {message.id!r}"
        for error in _wrong_placeholders(message):
            yield f"{error}: {message.id!r}"
    for message in catalog.obsolete.values():
        yield f"stale: {message.id!r}"


def _is_whole(message: Message | None, catalog: Catalog) -> bool:
    if message is None:
        return False
    forms = _forms(message)
    return all(forms) and (not message.pluralizable or len(forms) == catalog.num_plurals)


def _forms(message: Message) -> list[str]:
    return [message.string] if isinstance(message.string, str) else list(message.string or ())


def _wrong_placeholders(message: Message) -> Iterator[str]:
    """Yield the placeholders that a translation lacks or invents; a plural form need not say the number."""
    ids = [message.id] if isinstance(message.id, str) else list(message.id)
    known = {name for each in ids for name in _PLACEHOLDER.findall(each)}
    for form in filter(None, _forms(message)):
        found = set(_PLACEHOLDER.findall(form))
        needed = known - {"%(num)s"} if message.pluralizable else known
        yield from (f"placeholder {name} is unknown" for name in sorted(found - known))
        yield from (f"placeholder {name} is missing" for name in sorted(needed - found))


def check(locale: Path) -> int:
    """Print what is wrong with every catalogue and return how much it is."""
    template, count = extracted(), 0
    for file in files_in(locale):
        for problem in problems(file, template):
            count += 1
            print(f"{file.parent.parent.name}: {problem}", file=sys.stderr)
    if count:
        print("python scripts/languages.py update takes new sentences in; then translate them.", file=sys.stderr)
    return count


def main() -> None:
    """Do what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("check", "update", "add"))
    parser.add_argument("language", nargs="?", help="of add: its name, such as de or pt_BR")
    parser.add_argument("--locale", type=Path, default=_LOCALE)
    given = parser.parse_args()
    if given.command == "check":
        sys.exit(1 if check(given.locale) else 0)
    if given.command == "update":
        update(given.locale)
    elif given.language:
        print(add(given.locale, given.language))
    else:
        parser.error("add needs the name of a language")


if __name__ == "__main__":
    main()
