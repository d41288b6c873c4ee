"""The index: how quickly it is made, and what is seen while it is not whole yet."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import orjson

from bench.figures import Goal, Measure, Sample
from bench.setup import Code, Server, Setup

INDEX: Final = (
    Measure("facets", "/s", goal=Goal(at_least=12_000)),
    Measure("texts", "/s", goal=Goal(at_least=5_000)),
    Measure("import of 40,000", "/s"),
    Measure("list after the import", "ms", "list, nothing to do"),
    Measure("list shows the newest", "of 1", goal=Goal(at_least=1)),
    Measure("overview after the import", "ms", "the overview again", Goal(at_most=300)),
    Measure("overview in an import, most", "ms", "the overview again", Goal(at_most=300)),
    Measure("the overview again", "ms", is_detail=True),
    Measure("list, nothing to do", "ms", is_detail=True),
)
"""Records a second of a rebuild, and what is seen during and right after an import of 40,000 records."""


def index(setup: Setup) -> Iterator[Sample]:
    """Measure rebuilds of the index, and what an import leaves."""
    count = setup.size(50_000, 300)
    stores = {code: setup.folder() for code in setup.codes}
    for code, store in stores.items():
        setup.call(
            code, "preload", folder=store, stored=count, end=setup.fixture(count).end, json_files=False, index=False
        )
    for number in setup.turns(3):
        for code in setup.in_turn(setup.codes, number):
            facets, both = (setup.call(code, "rebuild", folder=stores[code], search=texts) for texts in (False, True))
            yield Sample("facets", count / facets["wall"], facets["cpu"] / count * 1e6, code.name)
            wall, cpu = (both[kind] - facets[kind] for kind in ("wall", "cpu"))
            yield Sample("texts", count / max(wall, 1e-9), cpu / count * 1e6, code.name)
    export, fixture = setup.folder().with_suffix(".jsonl"), setup.fixture(setup.size(40_000, 300))
    newest = fixture.write(export)
    for number in setup.turns(2):
        for code in setup.in_turn(setup.codes, number):
            yield from _after_import(setup, code, export, fixture.runs, newest)
            yield from _during_import(setup, code, export)


def _after_import(setup: Setup, code: Code, export: Path, count: int, newest: str) -> Iterator[Sample]:
    store = setup.folder()
    imported = setup.command(code, "import", "--store", store, export)
    yield Sample("import of 40,000", count / imported.wall, imported.cpu / count * 1e6, code.name)
    with setup.serving(code, store) as server:
        for name in ("overview after the import", "the overview again"):
            yield Sample(name, _first_paint(server), code=code.name)
    copy = setup.folder()
    setup.command(code, "import", "--store", copy, export)
    for name in ("list after the import", "list, nothing to do"):
        listed = setup.command(code, "list", "--json", "--store", copy)
        yield Sample(name, listed.wall * 1000, listed.cpu * 1e6, code.name)
        if name == "list after the import":
            shown = orjson.loads(listed.answer)["histories"][0]["execute_id"]
            yield Sample("list shows the newest", float(shown == newest), code=code.name)


def _first_paint(server: Server) -> float:
    began = time.perf_counter()
    server.get("/")
    return (time.perf_counter() - began) * 1000


def _during_import(setup: Setup, code: Code, export: Path) -> Iterator[Sample]:
    """Import over HTTP while somebody looks at the overview, from the beginning to some seconds after the end."""
    with setup.serving(code, setup.folder()) as server:

        def upload() -> None:
            connection = server.connection()
            connection.request("POST", "/coze/import?format=jsonl", body=export.read_bytes())
            assert connection.getresponse().status == 200

        uploading = threading.Thread(target=upload)
        uploading.start()
        most, quiet = 0.0, time.monotonic() + 1e9
        while time.monotonic() < quiet:
            most = max(most, _first_paint(server))
            time.sleep(0.02)
            if not uploading.is_alive() and quiet > time.monotonic() + 1e6:
                quiet = time.monotonic() + setup.size(50, 5) / 10
        uploading.join()
    yield Sample("overview in an import, most", most, code=code.name)
