"""``python -m bench``: everything that has a figure, beside what it is compared with, in the same run.

python -m bench                               all parts; the results go to bench/results
python -m bench gateway write                 some parts
python -m bench --quick                       everything once and tiny: shows that it works
python -m bench fixture --runs 10000000 DIR   make a large history, or go on with it
python -m bench large DIR                     measure with such a history
python -m bench database --runs 10000000 DIR  the same one in PostgreSQL and in the embedded store
python -m bench compare OLD NEW [PARTS]       two commits that take turns, or two files of results
python -m bench table FILE [--write]          the tables of a file of results, as Markdown
python -m bench mitmproxy                     install mitmproxy for the part gateway
"""

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from bench import documents
from bench import fixture as fixtures
from bench import postgres_large as large_database
from bench.backup import BACKUP, backup
from bench.commits import checked_out, commit_of, is_changed
from bench.figures import Measure, Results, Sample, figures_of
from bench.gateway import GATEWAY, gateway, install_mitmproxy
from bench.index import INDEX, index
from bench.large import LARGE, large
from bench.machine import description, slow_sync, today
from bench.postgres import POSTGRES, postgres
from bench.read import READ, TRANSFER, read, transfer
from bench.render import comparison, markdown, terminal
from bench.retention import RETENTION, retention
from bench.search import PAGES, QUESTIONS, pages, search
from bench.setup import ROOT, Code, Setup
from bench.start import START, start
from bench.write import DELETES, WRITE, deletes, write

_Part = tuple[tuple[Measure, ...], Callable[[Setup], Iterator[Sample]]]

PARTS: Final[dict[str, _Part]] = {
    "gateway": (GATEWAY, gateway),
    "write": (WRITE, write),
    "deletes": (DELETES, deletes),
    "index": (INDEX, index),
    "search": (QUESTIONS, search),
    "pages": (PAGES, pages),
    "read": (READ, read),
    "transfer": (TRANSFER, transfer),
    "backup": (BACKUP, backup),
    "start": (START, start),
    "retention": (RETENTION, retention),
    "postgres": (POSTGRES, postgres),
}
_HERE: Final = "here"


def main() -> None:
    """Run what the command line names."""
    if not sys.platform.startswith("linux"):
        raise SystemExit("The bench reads CPU times and memory from /proc: it needs Linux.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers end and folders go
    arguments = sys.argv[1:]
    commands = {
        "fixture": _fixture, "large": _large, "database": _database, "compare": _compare, "table": _table,
        "mitmproxy": _mitmproxy,
    }  # fmt: skip
    command = commands.get(arguments[0]) if arguments else None
    if command is None:
        _parts(arguments)
    else:
        command(arguments[1:])


def _parts(arguments: Sequence[str]) -> None:
    parser = _parser("", __doc__)
    parser.add_argument("parts", nargs="*", help=f"any of {' '.join(PARTS)}; all when none is named")
    parser.add_argument(
        "--save", type=Path, help="the file of results, whose other parts are kept; a new one in bench/results"
    )
    options = parser.parse_args(arguments)
    (results,) = _measured(options, [Code(_HERE, ROOT)], _chosen(parser, options.parts))
    path = options.save or ROOT / "bench" / "results" / f"{results.about['date'].replace(':', '')}.json"
    results.add_to(path)
    print("\n".join(terminal(results.figures)))
    print(f"Saved in {path}")


def _chosen(parser: argparse.ArgumentParser, names: Sequence[str]) -> dict[str, _Part]:
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        parser.error(f"there is no part {unknown[0]}: the parts are {', '.join(PARTS)}")
    return {name: PARTS[name] for name in names or PARTS}


def _parser(command: str, text: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m bench {command}".rstrip(),
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="everything once and tiny: shows that it works")
    parser.add_argument("--rounds", type=int, default=5, help="how often contestants take turns")
    parser.add_argument("--folder", type=Path, help="where histories are; /dev/shm, or a temporary folder")
    parser.add_argument("--sync", default="0.1", help="milliseconds of a simulated sync, or `real`")
    parser.add_argument("--mitmdump", default=_installed_mitmdump(), help="the command of mitmproxy")
    return parser


def _installed_mitmdump() -> str | None:
    own = ROOT / "bench" / "results" / "mitmproxy" / "bin" / "mitmdump"
    return str(own) if own.exists() else shutil.which("mitmdump")


def _measured(options: argparse.Namespace, codes: Sequence[Code], parts: dict[str, _Part]) -> list[Results]:
    """Run parts; the results of each checkout."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    folder = options.folder or (memory if memory.is_dir() else None)
    scratch = Path(tempfile.mkdtemp(prefix="bench-", dir=folder))
    try:
        sync = {} if options.sync == "real" else slow_sync(scratch, float(options.sync))
        setup = Setup(scratch, codes, options.rounds, options.quick, len(codes) == 1, sync, options.mitmdump)
        machine, run, date = description(scratch, sync), uuid.uuid4().hex, today()
        results = [Results({"run": run, "date": date, **_about(code), "machine": machine}, [], []) for code in codes]
        for name, (measures, samples) in parts.items():
            began = time.monotonic()
            found = list(samples(setup))
            for code, result in zip(codes, results, strict=True):
                result.figures.extend(figures_of(name, measures, found, code.name))
            print(f"{name}: {time.monotonic() - began:,.0f} s", file=sys.stderr, flush=True)
            setup.tidy()
        for result in results:
            result.remarks.extend(setup.remarks)
        return results
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _about(code: Code) -> dict[str, object]:
    return {"commit": commit_of(code.folder), "changed": is_changed(code.folder)}


def _fixture(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench fixture", description=fixtures.__doc__)
    parser.add_argument("--runs", type=int, default=10_000_000)
    _add_short(parser)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    asyncio.run(fixtures.make(options.folder, options.runs, is_short=options.short))


def _add_short(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--short", action="store_true", help="short documents, of which many millions fit on a disk")


def _large(arguments: Sequence[str]) -> None:
    parser = _parser("large", large.__doc__)
    parser.add_argument("fixture", type=Path, help="a folder that `python -m bench fixture` made")
    parser.add_argument("--keep", action="store_true", help="delete no workflow")
    parser.add_argument("--save", type=Path, help="the file of results, whose other parts are kept")
    options = parser.parse_args(arguments)
    part: _Part = (LARGE, partial(large, folder=options.fixture.absolute(), is_kept=options.keep))
    (results,) = _measured(options, [Code(_HERE, ROOT)], {"large": part})
    print("\n".join([*terminal(results.figures), *results.remarks]))
    if options.save:
        results.add_to(options.save)


def _database(arguments: Sequence[str]) -> None:
    parser = _parser("database", large_database.__doc__)
    parser.add_argument("place", type=Path, help="the folder that they are in, or are made in; its path is short")
    parser.add_argument("--runs", type=int, default=1_000_000)
    _add_short(parser)
    parser.add_argument("--save", type=Path, help="the file of results, whose other parts are kept")
    options = parser.parse_args(arguments)
    part: _Part = (
        large_database.DATABASE,
        partial(large_database.database, folder=options.place.absolute(), runs=options.runs, is_short=options.short),
    )
    (results,) = _measured(options, [Code(_HERE, ROOT)], {"database": part})
    print("\n".join(terminal(results.figures)))
    if options.save:
        results.add_to(options.save)


def _compare(arguments: Sequence[str]) -> None:
    parser = _parser("compare", "Compare two commits, which take turns, or two files of results.")
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("parts", nargs="*", help=f"any of {' '.join(PARTS)}; all when none is named")
    options = parser.parse_args(arguments)
    if Path(options.old).is_file() and Path(options.new).is_file():
        print("\n".join(comparison(Results.load(Path(options.old)), Results.load(Path(options.new)))))
        return
    parts = _chosen(parser, options.parts)
    with tempfile.TemporaryDirectory() as scratch, checked_out([options.old, options.new], Path(scratch)) as codes:
        old, new = _measured(options, codes, parts)
    print("\n".join(comparison(old, new)))


def _table(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench table", description="Show a file of results as Markdown.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--write", action="store_true", help="write the figures into docs/performance.md and READMEs")
    options = parser.parse_args(arguments)
    results = Results.load(options.file)
    if options.write:
        documents.write(results)
    else:
        print("\n".join(markdown(results)))


def _mitmproxy(_arguments: Sequence[str]) -> None:
    print(install_mitmproxy())


if __name__ == "__main__":
    main()
