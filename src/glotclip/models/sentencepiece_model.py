"""A SentencePiece model as a ``tokenizer.json``: SigLIP's own tokenizer has no other file than its ``spiece.model``.

The file is a protocol buffer (sentencepiece_model.proto): pieces with scores, and how texts are normalised. A dozen
of its fields are needed, so it is read here, without a package for it.
"""

from __future__ import annotations

import base64
import json
import re
import string
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from glotclip.errors import CheckpointError

UNIGRAM = 1
UNKNOWN, CONTROL, USER_DEFINED, BYTE = 2, 3, 4, 6  # types of pieces; 1 is a normal one
SPACE = "▁"
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def canonical(text: str, *, lower: bool = True) -> str:
    """Bring a text to SigLIP's form: lower case, no ASCII punctuation, single spaces (big_vision's rule)."""
    text = text.replace(SPACE, " ")
    return re.sub(r"\s+", " ", (text.lower() if lower else text).translate(_NO_PUNCTUATION)).strip()


class Charsmap:
    """A compiled table of replaced characters, applied as SentencePiece does: at each place the longest entry.

    The ``tokenizers`` library applies the same table to clusters of letters and marks, which loses some marks.
    It is a double-array trie over bytes (darts-clone) and the replacements, each ending in a zero byte.
    """

    def __init__(self, blob: bytes) -> None:
        size = int.from_bytes(blob[:4], "little")
        if size % 4 or len(blob) < 4 + size:
            raise ValueError("the table of characters ends early")
        self._units = struct.unpack(f"<{size // 4}I", blob[4 : 4 + size])
        self._strings = blob[4 + size :]
        self._usual = frozenset(chr(byte) for byte in range(128) if self._longest(bytes([byte])) is None)

    def replace(self, text: str) -> str:
        """Return the text with its characters replaced."""
        if text.isascii() and self._usual.issuperset(text):
            return text
        content, place, parts = text.encode("utf-8"), 0, []
        while place < len(content):
            found = self._longest(content[place : place + 64])
            if found is None:
                step = 1
                while place + step < len(content) and content[place + step] & 0xC0 == 0x80:
                    step += 1
                parts.append(content[place : place + step])
                place += step
            else:
                start = found[1]
                parts.append(self._strings[start : self._strings.index(b"\0", start)])
                place += found[0]
        return b"".join(parts).decode("utf-8", "replace")

    def _longest(self, key: bytes) -> tuple[int, int] | None:
        """Length of the longest entry that ``key`` begins with, and where its replacement lies."""
        found = None
        node = _offset(self._units[0])
        for length, byte in enumerate(key, start=1):
            node ^= byte
            if node >= len(self._units) or self._units[node] & 0x800000FF != byte:
                break
            unit = self._units[node]
            node ^= _offset(unit)
            if unit >> 8 & 1:
                found = length, self._units[node] & 0x7FFFFFFF
        return found


def _offset(unit: int) -> int:
    return (unit >> 10) << ((unit & 1 << 9) >> 6)


class Piece(NamedTuple):
    """One row of the vocabulary."""

    text: str
    score: float
    kind: int


class SentencePieceModel(NamedTuple):
    """What is needed of a unigram model.

    Attributes:
        pieces: in the order of their ids.
        unknown: id of the unknown piece.
        charsmap: the compiled table of replaced characters, empty for none.
        squeezes: whether runs of spaces become one, and spaces at both ends are removed.
    """

    pieces: tuple[Piece, ...]
    unknown: int
    charsmap: bytes
    squeezes: bool


def read_model(file: Path) -> SentencePieceModel:
    """Read a unigram model.

    Raises:
        CheckpointError: the file is missing or damaged, or holds another kind of model.
    """
    try:
        content = file.read_bytes()
        fields = list(_fields(content))
        pieces = tuple(_piece(value) for number, value in fields if number == 1 and isinstance(value, bytes))
        trainer = dict(_fields(_last(fields, 2)))
        normalizer = dict(_fields(_last(fields, 3)))
    except OSError as error:
        raise CheckpointError(f"cannot read {file}: {error.strerror}", hint="check the path") from error
    except (ValueError, IndexError, struct.error) as error:
        raise CheckpointError(f"{file} is not a SentencePiece model: {error}") from error
    unknown = [index for index, piece in enumerate(pieces) if piece.kind == UNKNOWN]
    if (
        trainer.get(3, UNIGRAM) != UNIGRAM
        or len(unknown) != 1
        or any(piece.kind in (BYTE, USER_DEFINED) for piece in pieces)
    ):
        raise CheckpointError(
            f"{file} is no plain unigram model, which is what SigLIP has",
            hint="put the tokenizer.json of the same model beside the weights",
        )
    charsmap = normalizer.get(2, b"")
    return SentencePieceModel(
        pieces, unknown[0], charsmap if isinstance(charsmap, bytes) else b"", bool(normalizer.get(4, 1))
    )


def as_tokenizer_json(model: SentencePieceModel, end: str) -> dict[str, Any]:
    """Write the model as a ``tokenizer.json`` that ends each text with the piece ``end``.

    Raises:
        CheckpointError: the model has no such piece.
    """
    ids = {piece.text: index for index, piece in enumerate(model.pieces)}
    if end not in ids:
        raise CheckpointError(
            f"the SentencePiece model has no piece {end!r} to end texts with",
            hint="use spiece.model and tokenizer_config.json of the same checkpoint",
        )
    special = [
        {"id": index, "content": piece.text, "single_word": False, "lstrip": True, "rstrip": True,
         "normalized": False, "special": True}
        for index, piece in enumerate(model.pieces) if piece.kind == CONTROL or index == model.unknown
    ]  # fmt: skip
    normalizers: list[dict[str, Any]] = []
    if model.charsmap:
        encoded = base64.b64encode(model.charsmap).decode()
        normalizers.append({"type": "Precompiled", "precompiled_charsmap": encoded})
    if model.squeezes:
        normalizers.append({"type": "Strip", "strip_left": True, "strip_right": True})
        normalizers.append({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "})
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": special,
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "always", "split": True},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": end, "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {end: {"id": end, "ids": [ids[end]], "tokens": [end]}},
        },
        "decoder": {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "always", "split": True},
        "model": {
            "type": "Unigram",
            "unk_id": model.unknown,
            "vocab": [[piece.text, piece.score] for piece in model.pieces],
            "byte_fallback": False,
        },
    }


def convert(file: Path, end: str) -> str:
    """Read a unigram model and return the text of its ``tokenizer.json``."""
    return json.dumps(as_tokenizer_json(read_model(file), end), ensure_ascii=False)


def _fields(content: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """Number and value of each field of a protocol buffer's message."""
    place = 0
    while place < len(content):
        key, place = _varint(content, place)
        number, kind = key >> 3, key & 7
        value: int | float | bytes
        if kind == 0:
            value, place = _varint(content, place)
        elif kind == 2:
            size, place = _varint(content, place)
            value, place = content[place : place + size], place + size
            if len(value) != size:
                raise ValueError("it ends early")
        elif kind == 5:
            value, place = struct.unpack_from("<f", content, place)[0], place + 4
        elif kind == 1:
            value, place = struct.unpack_from("<d", content, place)[0], place + 8
        else:
            raise ValueError(f"field {number} is of the unknown kind {kind}")
        yield number, value


def _varint(content: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[place]
        value, shift, place = value | (byte & 0x7F) << shift, shift + 7, place + 1
        if byte < 0x80:
            return value, place


def _last(fields: list[tuple[int, int | float | bytes]], number: int) -> bytes:
    """The message of a field, empty where there is none."""
    return next((value for one, value in reversed(fields) if one == number and isinstance(value, bytes)), b"")


def _piece(content: bytes) -> Piece:
    values = dict(_fields(content))
    text, score, kind = values.get(1, b""), values.get(2, 0.0), values.get(3, 1)
    if isinstance(text, bytes) and isinstance(kind, int) and not isinstance(score, bytes):
        return Piece(text.decode("utf-8"), float(score), kind)
    raise ValueError("a piece is malformed")
