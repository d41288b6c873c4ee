"""Check that a wheel holds every file of the package: ``python scripts/check_contents.py dist/….whl``.

A template, a script of the page or a statement of SQL that is missing is found by a user only, when it is read.
"""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parents[1]


def expected() -> set[str]:
    """Return the files of the package in the checkout; a translation is expected as it is compiled."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "src/execution_history"], cwd=ROOT, capture_output=True, encoding="utf-8", check=True
    )
    names = (Path(name).relative_to("src") for name in listed.stdout.split("\0") if name)
    return {(name.with_suffix(".mo") if name.suffix == ".po" else name).as_posix() for name in names} - {
        name.as_posix() for name in names if name.suffix == ".pot"
    }


def main() -> None:
    """End with 1 and the names of what is missing."""
    with ZipFile(sys.argv[1]) as wheel:
        missing = sorted(expected() - set(wheel.namelist()))
    if missing:
        sys.exit("The wheel lacks " + ", ".join(missing))
    print(f"The wheel holds all {len(expected())} files of the package.")


if __name__ == "__main__":
    main()
