"""Methods of foreign objects, which may raise anything when they are only looked at: nothing that runs may notice."""

import opcode
import signal
import threading
from collections.abc import Callable
from types import CodeType, TracebackType
from typing import Any, Final, TypeVar, cast

T = TypeVar("T")

_RAISE: Final = opcode.opmap["RAISE_VARARGS"]
_TRACEBACK: Final = cast("Any", BaseException.__dict__["__traceback__"])


def attempt(make: Callable[[], T], otherwise: T) -> T:
    """Return what *make* does, or *otherwise* where something foreign in it raises.

    Raises:
        BaseException: it came from outside (:func:`comes_from_outside`).
    """
    try:
        return make()
    except BaseException as error:
        if comes_from_outside(error):
            raise
        return otherwise


def comes_from_outside(error: BaseException) -> bool:
    """Return whether *error* was sent to the program or the thread, as Ctrl-C is, so that it has to be handed on.

    What a foreign method raises by itself, ``KeyboardInterrupt`` and ``SystemExit`` among it, is its own fault. The two
    are told apart by where the error arose: in a ``raise`` or in ``sys.exit``, and not within a handler of signals.
    """
    if issubclass(type(error), Exception):
        return False
    trace: TracebackType | None = traceback_of(error)
    last, handlers = trace, _handlers()
    while trace is not None:
        if trace.tb_frame.f_code in handlers:
            return True
        trace, last = trace.tb_next, trace
    if last is None:
        return True
    code = last.tb_frame.f_code.co_code
    if last.tb_lasti < len(code) and code[last.tb_lasti] == _RAISE:
        return False
    return not (issubclass(type(error), SystemExit) and threading.current_thread() is threading.main_thread())


def traceback_of(error: BaseException) -> TracebackType | None:
    """Return where *error* was raised, past whatever its class does when an attribute is read."""
    return cast("TracebackType | None", _TRACEBACK.__get__(error))


def reason_of(error: BaseException) -> str:
    """Return what *error* says, or the name of its class."""
    return text_of(error) or type(error).__name__


def text_of(error: BaseException) -> str:
    """Return what *error* says; nothing where it cannot even be asked."""
    return attempt(lambda: str.__str__(str(error)), "")


def _handlers() -> set[CodeType]:
    found = [signal.getsignal(number) for number in signal.valid_signals()]
    codes = [getattr(each, "__code__", getattr(type(each).__call__, "__code__", None)) for each in found if each]
    return {code for code in codes if isinstance(code, CodeType)}
