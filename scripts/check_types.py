"""Check that the types of the public names are complete, as the type checker of a user's program sees them.

``python check_types.py PYTHON`` with basedpyright on the path; *PYTHON* is that of an environment with the package.
Complete are the names that ``PUBLIC`` modules export, with all attributes, methods and parameters that they show.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

PACKAGE = "execution_history"
PUBLIC = (PACKAGE, f"{PACKAGE}.web")
_NAMES = """
import importlib, sys
for name in sys.argv[1:]:
    module = importlib.import_module(name)
    for each in module.__all__:
        value = getattr(module, each)
        print(f"{name}.{each}")
        if hasattr(value, "__qualname__"):
            print(f"{value.__module__}.{value.__qualname__}")
"""


def public_names(python: str) -> set[str]:
    """Return the full names that are public, and those under which they are defined."""
    command = [python, "-c", _NAMES, *PUBLIC]
    listed = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    return set(listed.stdout.split())


def symbols(python: str) -> list[dict[str, Any]]:
    """Return what basedpyright says of each symbol of the package.

    For this check it looks for packages where the first Python of the path has them, whatever ``--pythonpath`` names.
    """
    checker = shutil.which("basedpyright") or sys.exit("basedpyright is not on the path.")
    command = [checker, "--verifytypes", PACKAGE, "--ignoreexternal", "--outputjson"]
    path = os.pathsep.join((str(Path(python).absolute().parent), os.environ["PATH"]))
    checked = subprocess.run(
        command, env=os.environ | {"PATH": path}, capture_output=True, encoding="utf-8", check=False
    )
    report = json.loads(checked.stdout)
    found: list[dict[str, Any]] = report["typeCompleteness"]["symbols"]
    if not found:
        sys.exit("; ".join(each["message"] for each in report["generalDiagnostics"]))
    return found


def main() -> None:
    """End with 1 and what is not known of a public name."""
    python = sys.argv[1]
    names = public_names(python)
    incomplete = 0
    for symbol in symbols(python):
        is_public = any(symbol["name"] == name or symbol["name"].startswith(f"{name}.") for name in names)
        if is_public and (not symbol["isTypeKnown"] or symbol["isTypeAmbiguous"]):
            incomplete += 1
            print(symbol["name"], *(each["message"] for each in symbol["diagnostics"]), sep="\n    ")
    if incomplete:
        sys.exit(f"{incomplete} public names have no complete type.")
    print(f"The types of {len(names)} public names are complete.")


if __name__ == "__main__":
    main()
