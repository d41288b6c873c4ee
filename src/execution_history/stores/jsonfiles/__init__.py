"""The JSON files beside the database: ``{workflow_id}.json``, current when a call returns."""

from execution_history.stores.jsonfiles.file_names import file_name, workflow_id_of
from execution_history.stores.jsonfiles.mirror import JSONFileMirror
from execution_history.stores.jsonfiles.tolerant_reader import FoundFile

__all__ = ["FoundFile", "JSONFileMirror", "file_name", "workflow_id_of"]
