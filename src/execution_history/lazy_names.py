"""Names of a package that are imported when they are first used (PEP 562), so that nobody waits for the other ones."""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def lazy_names(package: str, modules: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` for *package*.

    Type checkers read the imports that stand beside the call under ``TYPE_CHECKING``.

    Args:
        package: its full name.
        modules: the module, relative to the package, in which each name is defined; an empty one where the name is
            that of a module.
    """

    def get(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
        if name not in modules:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        module = importlib.import_module(f"{package}.{modules[name] or name}")
        value = getattr(module, name) if modules[name] else module
        setattr(sys.modules[package], name, value)  # the next use finds it there
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *modules})

    return get, names
