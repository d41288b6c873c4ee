"""How a status is stored: as a small number."""

from typing import Final

STATUS_NAMES: Final = ("running", "success", "failed", "interrupted", "other")

STATUS_NUMBERS: Final = {name: number for number, name in enumerate(STATUS_NAMES)}
