"""Documents packed with zstandard and a dictionary of typical records.

The dictionary is shipped with the package and copied into every database that uses it, so that older
and newer versions of the package read each other's stores: what unpacks a document stands beside it.
"""

import threading
from importlib.resources import files
from typing import Final

import zstandard

CURRENT: Final = 1
"""The dictionary that new documents are packed with; 0 stands for plain JSON."""

_LEVEL: Final = 1
_SMALLEST: Final = 64


def shipped_dictionary() -> bytes:
    """The content of the current dictionary, made by ``scripts/make_dictionary.py``."""
    return files("execution_history.stores.sqlite").joinpath("dictionaries", f"{CURRENT}.zdict").read_bytes()


class Packer:
    """Packs documents. Not for several threads at once."""

    def __init__(self, dictionary: bytes) -> None:
        data = zstandard.ZstdCompressionDict(dictionary)
        data.precompute_compress(level=_LEVEL)
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL, dict_data=data)

    def pack(self, body: bytes) -> tuple[int, bytes]:
        """The packing number and the packed form of *body*, plain where packing would not make it smaller."""
        if len(body) < _SMALLEST:
            return 0, body
        packed = self._compressor.compress(body)
        return (CURRENT, packed) if len(packed) < len(body) else (0, body)


class Unpacker:
    """Unpacks documents; one for each thread is made behind the scenes.

    Args:
        dictionaries: the store's dictionaries by number.
    """

    def __init__(self, dictionaries: dict[int, bytes]) -> None:
        self._dictionaries = {
            number: zstandard.ZstdCompressionDict(content) for number, content in dictionaries.items()
        }
        self._local = threading.local()

    def unpack(self, packing: int, document: bytes) -> bytes:
        """The JSON bytes of a stored document.

        Raises:
            KeyError: the store has no such dictionary.
            zstandard.ZstdError: the document is damaged.
        """
        if packing == 0:
            return document
        ready: dict[int, zstandard.ZstdDecompressor] | None = getattr(self._local, "ready", None)
        if ready is None:
            ready = self._local.ready = {}
        decompressor = ready.get(packing)
        if decompressor is None:
            decompressor = ready[packing] = zstandard.ZstdDecompressor(dict_data=self._dictionaries[packing])
        return decompressor.decompress(document)
