"""The JSON files beside the database: ``{workflow_id}.json``, current when a call returns."""

from execution_history.stores.sqlite.face.adoption import FoundFile
from execution_history.stores.sqlite.face.faces import Faces
from execution_history.stores.sqlite.face.names import file_name, workflow_id_of
from execution_history.stores.sqlite.face.off import FacesOff, Later

__all__ = ["Faces", "FacesOff", "FoundFile", "Later", "file_name", "workflow_id_of"]
