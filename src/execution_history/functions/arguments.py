"""What is kept of a function's arguments and results: by name, as JSON, without secrets. Pure.

A secret is what stands under a name that ends in one of the usual words (``token``, ``password``, ``api_key``,
``Authorization``, …), or under one that the caller names, at any depth: in an object, or in a list of pairs as headers
are. It becomes ``"[redacted]"``, and its text is taken out of error messages and tracebacks too.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any, Final

import orjson

from execution_history.errors import quoted
from execution_history.functions.foreign import attempt, comes_from_outside
from execution_history.records.depth import IN_METADATA, IN_VALUE
from execution_history.records.encoding import encode
from execution_history.records.json_text import read_json
from execution_history.records.metadata import RECORDING_IS_CUT
from execution_history.records.redaction import REDACTED, is_secret_name, plain_name
from execution_history.records.size_limit import LARGEST_RECORD, named, shortened

_LARGEST_BUFFER: Final = 16 * 1024 * 1024
_SHORTEST_SECRET: Final = 6
_HINT: Final = re.compile(rb"token|passw|pwd|passphrase|secret|key|authorization|credential|cookie", re.IGNORECASE)


_capturing: ContextVar[bool] = ContextVar("execution_history_capturing", default=False)


def is_recording_possible() -> bool:
    """Whether a run that begins here can be recorded: not while a value is captured, which may call such a function."""
    return not _capturing.get()


class Redaction:
    """Takes secrets out of what is recorded of one run, and remembers them to take them out of its errors.

    Args:
        names: names whose values are secret, besides the usual ones; case and hyphens do not matter.
        largest: bytes of JSON beyond which a value gives way to its beginning, or, where that may hold secrets, to a
            sentence.

    Attributes:
        cuts: how many bytes the values had of which this is so, by their names.
        secrets: those that were met.
    """

    def __init__(self, names: frozenset[str] = frozenset(), largest: int = LARGEST_RECORD) -> None:
        self._names = names
        self.largest = largest
        self.secrets: set[str] = set()
        self.cuts: dict[str, int] = {}

    def document(self, name: str, value: object, levels: int = IN_VALUE) -> bytes:
        """*value*, in the record's key *name*, as JSON of at most *levels* levels without secrets."""
        token = _capturing.set(True)
        try:
            document = encode(_light(value), levels=levels)
        except BaseException as error:
            if comes_from_outside(error):
                raise
            return encode(f"[unreadable: {type(error).__name__}]")
        finally:
            _capturing.reset(token)
        if not self._names and _HINT.search(document) is None:
            return shortened(name, document, self.largest, self.cuts)
        if len(document) > self.largest:
            self.cuts[name] = len(document)
            return encode(f"[too large: {len(document)} bytes of JSON]")
        return encode(self._without_secrets(read_json(document)), levels=levels)

    def metadata(self, given: Mapping[str, object]) -> dict[str, object]:
        """*given* as plain values without secrets; each value is cut by itself."""
        found: dict[str, object] = {}
        for key, value in given.items():
            name = str(key)
            document = b"" if self._is_secret(name) else self.document(named(name), value, IN_METADATA)
            found[name] = orjson.loads(document) if document else self._hidden(value)
        return found

    def said_of_cuts(self) -> dict[str, object]:
        """Return the entry of the record's ``metadata`` for values that were too large; empty where none was."""
        return {RECORDING_IS_CUT.name: dict(self.cuts)} if self.cuts else {}

    def text(self, text: str) -> str:
        """*text* without the secrets that were seen so far."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, REDACTED)
        return text

    def _without_secrets(self, document: Any) -> Any:
        stack = [document]
        while stack:
            item = stack.pop()
            if isinstance(item, list):
                for inner in item:
                    match inner:
                        case [str(name), value] if self._is_secret(name):  # as lists of headers have them
                            inner[1] = self._hidden(value)
                        case _:
                            stack.append(inner)
            elif isinstance(item, dict):
                for key, inner in item.items():
                    if self._is_secret(key):
                        item[key] = self._hidden(inner)
                    else:
                        stack.append(inner)
        return document

    def _hidden(self, value: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, str):
            # An authorization header is its scheme and the secret itself.
            self.secrets.update(part for part in (value, *value.split()) if len(part) >= _SHORTEST_SECRET)
        return REDACTED

    def _is_secret(self, name: str) -> bool:
        return plain_name(name) in self._names or is_secret_name(name)


def names(given: Iterable[str]) -> frozenset[str]:
    """Names as they are compared.

    Raises:
        TypeError: a single text was given, whose letters are hardly meant.
    """
    if isinstance(given, str):
        raise TypeError(f"Names of arguments are a list such as [{quoted(given)}], not a text.")
    return frozenset(map(plain_name, given))


class Arguments:
    """Names the arguments of calls of one function; what is called ``self`` or ``cls`` in first place is left out.

    Args:
        function: whose calls they are.
        exclude: plain names of arguments that are left out too.
    """

    def __init__(self, function: Callable[..., object], exclude: frozenset[str]) -> None:
        self._exclude = exclude
        try:
            self._signature: inspect.Signature | None = inspect.signature(function)
        except (ValueError, TypeError):  # a function in C may have none
            self._signature = None
        first = next(iter(self._signature.parameters), None) if self._signature is not None else None
        self._receiver = first if first in {"self", "cls"} else None

    def of(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> dict[str, object]:
        """Return the arguments of one call by name, defaults included."""
        found: dict[str, object]
        try:
            if self._signature is None:
                raise TypeError  # noqa: TRY301 - without names they are kept as they came
            bound = self._signature.bind(*args, **kwargs)
            bound.apply_defaults()
            found = dict(bound.arguments)
        except TypeError:  # the call does not fit, which the function itself will say
            found = {"args": list(args), "kwargs": dict(kwargs)}
        return {
            name: _light(value)
            for name, value in found.items()
            if name != self._receiver and plain_name(name) not in self._exclude
        }


def _light(value: object) -> object:
    """*value*, or a few words on an array or buffer whose JSON would take seconds."""
    size = attempt(lambda: _size_of(value), 0)
    if size > _LARGEST_BUFFER:
        return f"[{type(value).__name__} of {size} bytes]"
    return value


def _size_of(value: Any) -> int:
    size = value.nbytes if hasattr(value, "nbytes") else len(value) if isinstance(value, (bytes, bytearray)) else 0
    return size if isinstance(size, int) else 0
