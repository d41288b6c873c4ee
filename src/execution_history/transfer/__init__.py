"""Export, import and copies of histories."""

from execution_history.transfer.columns import DEFAULT_COLUMNS
from execution_history.transfer.copier import OnCopyProgress, copy_history
from execution_history.transfer.copy_report import CopyReport
from execution_history.transfer.coze_studio.importer import import_studio
from execution_history.transfer.export import (
    EXPORT_FORMATS,
    Export,
    ExportFormat,
    ExportReport,
    check_whole,
    export_chunks,
    export_of,
    export_to_path,
    export_to_stream,
    note_export,
)
from execution_history.transfer.importer import ImportReport, import_history
from execution_history.transfer.named_records import NamedRecords
from execution_history.transfer.progress import OnProgress, Progress
from execution_history.transfer.sources import Refused

__all__ = [
    "DEFAULT_COLUMNS",
    "EXPORT_FORMATS",
    "CopyReport",
    "Export",
    "ExportFormat",
    "ExportReport",
    "ImportReport",
    "NamedRecords",
    "OnCopyProgress",
    "OnProgress",
    "Progress",
    "Refused",
    "check_whole",
    "copy_history",
    "export_chunks",
    "export_of",
    "export_to_path",
    "export_to_stream",
    "import_history",
    "import_studio",
    "note_export",
]
