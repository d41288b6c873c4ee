"""What is done with a history as a whole: taking records out of it and bringing records in."""

from execution_history.upkeep.columns import DEFAULT_COLUMNS
from execution_history.upkeep.exporting import (
    EXPORT_FORMATS,
    Export,
    ExportFormat,
    ExportReport,
    check_whole,
    export_chunks,
    export_to_path,
    export_to_stream,
)
from execution_history.upkeep.importing import ImportReport, import_history
from execution_history.upkeep.items import Refused
from execution_history.upkeep.progress import Progress, Tell
from execution_history.upkeep.studio_import import import_studio

__all__ = [
    "DEFAULT_COLUMNS",
    "EXPORT_FORMATS",
    "Export",
    "ExportFormat",
    "ExportReport",
    "ImportReport",
    "Progress",
    "Refused",
    "Tell",
    "check_whole",
    "export_chunks",
    "export_to_path",
    "export_to_stream",
    "import_history",
    "import_studio",
]
