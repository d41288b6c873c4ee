"""Makes the dictionary that documents are packed with, and says what it is worth.

``python scripts/make_dictionary.py`` from the checkout's root. The records it learns from share their structure with
those of the benchmark, as records of all workflows do, and none of their content words.
"""

import sys
import time
from pathlib import Path

import orjson
import zstandard

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.records import runs  # noqa: E402 - the checkout's root has to be on the path first

from execution_history.records.record import new_document  # noqa: E402

NUMBER = 1
SIZE = 64 * 1024
LEVEL = 1
TARGET = ROOT / "src/execution_history/stores/dictionaries" / f"{NUMBER}.zdict"


def main() -> None:
    """Train on one vocabulary, measure on the other."""
    samples: list[bytes | bytearray | memoryview] = []
    for run in runs(12_000, seed=20261, vocabulary=1):
        samples.append(orjson.dumps(run.record()))
        if len(samples) % 5 == 0:
            begun = new_document(
                workflow_id=run.workflow_id, execute_id=run.execute_id, now=run.create_time, parameters=run.parameters
            )
            samples.append(begun.body)
    dictionary = zstandard.train_dictionary(SIZE, samples, dict_id=NUMBER, level=LEVEL)
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_bytes(dictionary.as_bytes())
    bodies = [orjson.dumps(run.record()) for run in runs(5_000)]
    total = sum(map(len, bodies))
    print(f"{len(bodies)} records of {total / len(bodies):.0f} bytes on average")
    together = zstandard.ZstdCompressor(level=3).compress(b"".join(bodies))
    print(f"all together, level 3: {len(together) / total:.3f}")
    for level in (1, 3):
        for name in ("without", "with"):
            plain = zstandard.ZstdCompressor(level=level)
            compressor = plain if name == "without" else zstandard.ZstdCompressor(level=level, dict_data=dictionary)
            began = time.perf_counter()
            packed = sum(len(compressor.compress(body)) for body in bodies)
            spent = (time.perf_counter() - began) / len(bodies) * 1e6
            print(f"level {level}, {name} the dictionary: {packed / total:.3f}, {spent:.1f} µs a record")


if __name__ == "__main__":
    main()
