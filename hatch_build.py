"""Compiles the translations into the wheel, and beside their sources in an editable installation."""

from pathlib import Path
from typing import Any

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompiledTranslations(BuildHookInterface[Any]):
    """Writes a ``.mo`` file for each ``.po`` file before files are collected."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - the interface's
        """Compile every catalogue; one that is older than its source is not used at run time."""
        for source in Path(self.root).glob("src/execution_history/presentation/locale/*/LC_MESSAGES/*.po"):
            with source.open("rb") as content, source.with_suffix(".mo").open("wb") as target:
                write_mo(target, read_po(content))
