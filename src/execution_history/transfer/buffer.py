"""A binary stream in memory from which what has been written is taken away, piece by piece."""

from typing import Any


class Buffer:
    """What writers write to; for them it is a stream that cannot be sought in."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._written = 0

    def take(self) -> bytes:
        """Return what has been written since the last time."""
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken

    def write(self, data: Any) -> int:  # noqa: ANN401 - anything that has bytes in it
        """Keep all of *data*."""
        piece = bytes(data)
        self._pieces.append(piece)
        self._written += len(piece)
        return len(piece)

    def tell(self) -> int:
        """How many bytes have been written in all."""
        return self._written

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing has to be closed."""

    def seekable(self) -> bool:
        """Return ``False``: what has been written may be gone already."""
        return False

    def writable(self) -> bool:
        """Return ``True``: a buffer is there to be written to."""
        return True

    def readable(self) -> bool:
        """Return ``False``: a buffer is read only through :meth:`take`."""
        return False
