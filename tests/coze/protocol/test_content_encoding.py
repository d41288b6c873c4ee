"""Bodies in every encoding that clients read, cut anywhere."""

import gzip
import zlib
from collections.abc import Callable

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from execution_history.coze.protocol.content_encoding import ContentDecoder

_PART = b"event: Message\ndata: {}\n\n" * 20
_WHOLE = _PART * 3


def _deflated(body: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(body) + compressor.flush()


def _frames(body: bytes) -> bytes:
    return b"".join(zstandard.compress(body[at : at + len(_PART)]) for at in range(0, len(body), len(_PART)))


def _members(body: bytes) -> bytes:
    return b"".join(gzip.compress(body[at : at + len(_PART)]) for at in range(0, len(body), len(_PART)))


_ENCODED = [
    ("", _WHOLE),
    ("identity", _WHOLE),
    ("gzip", gzip.compress(_WHOLE)),
    ("GZIP", gzip.compress(_WHOLE)),
    (" x-gzip ", _members(_WHOLE)),
    ("deflate", zlib.compress(_WHOLE)),
    ("deflate", _deflated(_WHOLE)),
    ("br", brotli.compress(_WHOLE)),
    ("zstd", _frames(_WHOLE)),
    ("gzip, gzip", gzip.compress(gzip.compress(_WHOLE))),
    ("identity, gzip", gzip.compress(_WHOLE)),
    ("zstd,deflate, br", brotli.compress(_deflated(_frames(_WHOLE)))),
]

_PADDED = [
    ("gzip", _members(_WHOLE) + b"\0" * 512),
    ("gzip", _members(_WHOLE) + b"\0"),
    ("gzip", _members(_PART) + b"\0" * 9 + _members(_PART + _PART)),
    ("deflate", _deflated(_WHOLE) + b"what follows a stream"),
    ("gzip", _members(_WHOLE) + b"\n"),
    ("gzip", _members(_WHOLE) + b"what follows a member"),
    ("zstd", _frames(_WHOLE) + b"\0"),
    ("zstd", _frames(_WHOLE) + b"what follows a frame"),
]


def _numbered(rows: list[tuple[str, bytes]]) -> list[str]:
    return [f"{number} {encoding}" for number, (encoding, _) in enumerate(rows)]


@pytest.mark.parametrize(("encoding", "body"), [*_ENCODED, *_PADDED], ids=_numbered([*_ENCODED, *_PADDED]))
@pytest.mark.parametrize("step", [1, 7, 1_000_000])
def test_a_body_is_decoded_however_it_is_cut(encoding: str, body: bytes, step: int) -> None:
    """Several members and frames, without a frame, one in the other, in any case."""
    decoder = ContentDecoder(encoding)
    plain = b"".join(decoder.decode(body[at : at + step]) for at in range(0, len(body), step))
    decoder.close()
    assert (_WHOLE, None) == (plain, decoder.problem)


@pytest.mark.parametrize(("encoding", "body"), _ENCODED[2:], ids=_numbered(_ENCODED[2:]))
def test_a_body_that_is_cut_off_says_so(encoding: str, body: bytes) -> None:
    """What came before is there."""
    decoder = ContentDecoder(encoding)
    assert _WHOLE.startswith(decoder.decode(body[:-6]))
    decoder.close()
    assert decoder.problem is not None
    assert "ends in the middle" in decoder.problem


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, br"])
def test_a_body_that_is_not_what_it_claims_says_so(encoding: str) -> None:
    """And has no plain bytes, whatever follows."""
    decoder = ContentDecoder(encoding)
    assert b"" == decoder.decode(b"\x00plain text") + decoder.decode(b" and more")
    assert decoder.problem == f"is not in the encoding that it names, “{encoding}”"
    decoder.close()
    assert "is not" in decoder.problem


@pytest.mark.parametrize("encoding", ["utf-8", "compress", "gzip, secret", ",".join(["gzip"] * 6), "x" * 1_000])
def test_an_unknown_encoding_leaves_the_body_as_it_is(encoding: str) -> None:
    """Some servers name one that is none; too many of them are not undone."""
    decoder = ContentDecoder(encoding)
    assert _PART == decoder.decode(_PART)
    assert decoder.is_unknown
    assert decoder.problem is not None
    assert len(decoder.problem) < 100


@pytest.mark.parametrize("compress", [gzip.compress, _deflated, zlib.compress, brotli.compress, zstandard.compress])
def test_a_small_body_cannot_fill_the_memory(compress: Callable[[bytes], bytes]) -> None:
    """It is decoded piece by piece, as far as there is room."""
    encoding = {brotli.compress: "br", zstandard.compress: "zstd", gzip.compress: "gzip"}.get(compress, "deflate")
    bomb = compress(bytes(60_000_000))
    assert max(map(len, ContentDecoder(encoding).pieces(bomb))) <= 16 * 1024 * 1024
    decoder = ContentDecoder(encoding, 20_000_000)
    assert len(decoder.decode(bomb)) <= 20_000_000
    assert decoder.problem is not None


def test_an_empty_body_is_whole_in_any_encoding() -> None:
    """As that of an answer without one."""
    decoder = ContentDecoder("gzip")
    decoder.decode(b"")
    decoder.close()
    assert decoder.problem is None


@given(st.sampled_from(["gzip", "deflate", "br", "zstd", "deflate, gzip"]), st.lists(st.binary(max_size=40)))
def test_no_bytes_break_the_decoder(encoding: str, chunks: list[bytes]) -> None:
    """Whatever they are."""
    decoder = ContentDecoder(encoding)
    for chunk in chunks:
        decoder.decode(chunk)
    decoder.close()


_PIECE = 8
_CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "x-gzip": gzip.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}
_sizes = st.lists(st.sampled_from([0, 1, *range(_PIECE - 2, _PIECE + 3), *range(2 * _PIECE - 1, 2 * _PIECE + 2), 99]))


@given(
    st.lists(st.sampled_from(sorted(_CODINGS)), min_size=1, max_size=2), _sizes, st.integers(1, 200),
    st.sampled_from([b"", b"\0", b"\0" * 300, b"\n", b"no member"]), st.booleans(),
)  # fmt: skip
def test_members_of_any_size_end_wherever_a_piece_does(
    names: list[str], sizes: list[int], step: int, padding: bytes, is_compressible: bool
) -> None:
    """However the body is cut, and whatever stands behind its members: it is read to its end."""
    members = [(b" " if is_compressible else bytes([65 + number % 26])) * size for number, size in enumerate(sizes)]
    members = [b"".join(members)] if "br" in names else members
    body = b"".join(map(_CODINGS[names[0]], members))
    for name in names[1:]:
        body = _CODINGS[name](body)
    body += padding if body and names[-1] != "br" else b""
    decoder = ContentDecoder(",".join(names), piece=_PIECE)
    pieces = [piece for at in range(0, len(body), step) for piece in decoder.pieces(body[at : at + step])]
    decoder.close()
    assert (b"".join(members), None) == (b"".join(pieces), decoder.problem)
    assert "br" in names or max(map(len, pieces), default=0) <= _PIECE


@pytest.mark.parametrize("behind", [gzip.compress(b" " * 2_000_000), b"\0", b"what follows"])
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_member_larger_than_a_piece_has_an_end(encoding: str, behind: bytes) -> None:
    """Whatever follows it in the same chunk."""
    decoder = ContentDecoder(encoding)
    plain = decoder.decode(_CODINGS[encoding](b" " * 2_000_000) + behind)
    assert plain in (b" " * 2_000_000, b" " * 4_000_000)


@pytest.mark.parametrize(
    "bomb",
    [
        gzip.compress(gzip.compress(bytes(50_000_000))),
        gzip.compress(gzip.compress(b"") * 100_000),
        gzip.compress(zlib.compress(b"") * 100_000),
    ],
)
def test_a_chunk_becomes_no_more_than_is_decoded_at_once(bomb: bytes) -> None:
    """In all layers, and in members that hold nothing; nothing is read any more behind it."""
    decoder = ContentDecoder("gzip, gzip", at_once=1_000_000)
    assert len(decoder.decode(bomb)) <= 1_000_000
    assert decoder.problem == "expands to more than is decoded of one"
    assert b"" == decoder.decode(bomb)
