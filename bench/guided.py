"""``python -m bench.guided GROUP NAME``: one parser under atheris, which looks for bytes that reach other code.

atheris is in none of our environments: ``scripts/fuzz`` has its own. The corpus is kept in the folder, so that the next run
goes on from it, and so is what the parser failed at.
"""

import argparse
import sys
from importlib import import_module
from pathlib import Path

import atheris

from bench.parsers import GROUPS


def main() -> None:
    """Fuzz one parser for some seconds; libFuzzer ends the process, with 77 where the parser failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.guided", description=__doc__)
    parser.add_argument("group", choices=GROUPS)
    parser.add_argument("name")
    parser.add_argument("--folder", type=Path, required=True, help="of the corpus")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with atheris.instrument_imports(include=["execution_history"]):
        group = import_module(f"bench.parsers.{options.group}")
    from bench.parsers.target import checked  # noqa: PLC0415 - it must not be imported before the group is

    target = next(each for each in group.TARGETS if each.name == options.name)
    corpus = options.folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    arguments = [f"-max_total_time={options.seconds}", f"-seed={options.seed}", "-print_final_stats=1", "-timeout=20"]
    arguments += ["-rss_limit_mb=2048", "-max_len=6000", f"-artifact_prefix={options.folder}/failed-"]
    if target.words:
        words = options.folder / "words"
        escaped = ("".join(f"\\x{byte:02x}" for byte in word) for word in target.words)
        words.write_text("".join(f'"{word}"\n' for word in escaped))
        arguments.append(f"-dict={words}")
    atheris.Setup([sys.argv[0], *arguments, str(corpus)], checked(target))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
