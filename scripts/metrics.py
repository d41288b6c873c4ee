"""Write the tables of metrics into docs/observability.md, or check that they are current.

python scripts/metrics.py update
python scripts/metrics.py check
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from execution_history.metrics import COUNTED, PROCESS, READ, Metric

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "observability.md"
_BEGIN: Final = "<!-- metrics: made by scripts/metrics.py -->\n"
_END: Final = "<!-- end of metrics -->\n"


def tables() -> str:
    """Return the tables in Markdown."""
    parts = [
        ("Counted by the process that answers, from its start", COUNTED),
        ("Read when somebody asks", READ),
        ("Of the process itself, on Linux (prometheus-client)", PROCESS),
    ]
    return "\n".join(line for title, metrics in parts for line in (f"### {title}\n", *_table(metrics)))


def _table(metrics: Iterable[Metric]) -> Iterator[str]:
    yield "| metric | kind | labels | meaning |\n|---|---|---|---|"
    for each in metrics:
        labels = ", ".join(f"`{label}`" for label in each.labels)
        yield f"| `{each.name}` | {each.kind} | {labels} | {each.help_text} |"
    yield ""


def current(page: str) -> str:
    """Return *page* with the tables of today."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{tables()}\n{_END}{after}"


def main(arguments: list[str]) -> None:
    """Do what is asked for; end with 1 where the page is not current."""
    page = PAGE.read_text("utf-8")
    if arguments == ["update"]:
        PAGE.write_text(current(page), "utf-8")
    elif arguments != ["check"]:
        sys.exit(__doc__)
    elif page != current(page):
        sys.exit("The tables of docs/observability.md are not current: python scripts/metrics.py update")


if __name__ == "__main__":
    main(sys.argv[1:])
