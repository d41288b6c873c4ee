"""The JSON files beside the database: ``{workflow_id}.json``, current when a call returns."""

from execution_history.stores.sqlite.face.faces import Faces
from execution_history.stores.sqlite.face.off import FacesOff, Later

__all__ = ["Faces", "FacesOff", "Later"]
