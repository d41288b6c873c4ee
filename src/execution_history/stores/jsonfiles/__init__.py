"""The JSON files beside the database: ``{workflow_id}.json``, current when a call returns."""

from execution_history.stores.jsonfiles.file_names import file_name, workflow_id_of
from execution_history.stores.jsonfiles.mirror import Faces
from execution_history.stores.jsonfiles.ports import FacesOff, Later
from execution_history.stores.jsonfiles.tolerant_reader import FoundFile

__all__ = ["Faces", "FacesOff", "FoundFile", "Later", "file_name", "workflow_id_of"]
