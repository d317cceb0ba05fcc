"""Files of CLIP's vocabulary: OpenAI's compressed merges, ``vocab.json`` with ``merges.txt``, ``tokenizer.json``."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path

from glotclip import storage
from glotclip.errors import CheckpointError
from glotclip.models import bpe
from glotclip.models.bpe import END, END_OF_WORD, START

SIMPLE_VOCABULARY = "bpe_simple_vocab_16e6.txt.gz"


def read_simple_vocabulary(file: Path, size: int = 49_408) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Read OpenAI's merges file: ids are the bytes, the bytes at a word's end, the merges, the two special tokens."""
    try:
        lines = gzip.decompress(file.read_bytes()).decode("utf-8").split("\n")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise CheckpointError(f"cannot read {file}: {error}", hint="fetch the file again") from error
    alphabet = list(bpe.byte_characters().values())
    room = size - 2 * len(alphabet) - 2
    merges = _parse_merges(lines[1 : 1 + room], file)
    tokens = [*alphabet, *(character + END_OF_WORD for character in alphabet)]
    tokens += [left + right for left, right in merges]
    return {token: index for index, token in enumerate([*tokens, START, END])}, merges


def read_pair(folder: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Read ``vocab.json`` and ``merges.txt``."""
    vocabulary = storage.read_json(folder / "vocab.json")
    if not isinstance(vocabulary, dict) or not all(isinstance(value, int) for value in vocabulary.values()):
        raise CheckpointError(f"{folder / 'vocab.json'} is not a table of token: id", hint="fetch the file again")
    lines = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")
    if lines[0].startswith("#version"):
        lines = lines[1:]
    return vocabulary, _parse_merges(lines, folder / "merges.txt")


def read_tokenizer_json(file: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Read vocabulary and merges out of a ``tokenizer.json`` of CLIP."""
    content = storage.read_json(file)
    model = content.get("model", {}) if isinstance(content, dict) else {}
    if model.get("type") != "BPE" or model.get("end_of_word_suffix") != END_OF_WORD:
        raise CheckpointError(
            f"{file} is not a CLIP tokenizer (byte-level BPE with {END_OF_WORD!r})",
            hint="put vocab.json and merges.txt of the CLIP model beside the weights",
        )
    vocabulary = dict(model["vocab"])
    for token in content.get("added_tokens", []):
        vocabulary.setdefault(token["content"], token["id"])
    merges = [pair.split(" ") if isinstance(pair, str) else pair for pair in model["merges"]]
    return vocabulary, [(left, right) for left, right in merges]


def _parse_merges(lines: Sequence[str], file: Path) -> list[tuple[str, str]]:
    merges = []
    for number, line in enumerate(lines, start=2):
        parts = line.rstrip("\r").split(" ")
        if parts == [""]:
            continue
        if len(parts) != 2:
            raise CheckpointError(f"{file}, line {number}: not a pair of tokens", hint="fetch the file again")
        merges.append((parts[0], parts[1]))
    return merges


def check_vocabulary(vocabulary: Mapping[str, int], merges: Sequence[tuple[str, str]]) -> None:
    """Raise CheckpointError where special tokens are missing, ids are shared, or a merge is of unknown tokens."""
    missing = [token for token in (START, END) if token not in vocabulary]
    if missing:
        raise CheckpointError(
            f"the vocabulary lacks the special token {' and '.join(missing)}, where texts are read off",
            hint="use the tokenizer files of the same checkpoint",
        )
    if len(set(vocabulary.values())) != len(vocabulary) or min(vocabulary.values()) < 0:
        raise CheckpointError(
            "two tokens of the vocabulary have the same id, or an id is negative", hint="restore vocab.json"
        )
    for left, right in merges:
        unknown = [piece for piece in (left, right, left + right) if piece not in vocabulary]
        if unknown:
            raise CheckpointError(
                f"the merge {left!r} + {right!r} needs the token {unknown[0]!r}, which the vocabulary lacks",
                hint="vocab.json and merges.txt do not belong together; use those of one checkpoint",
            )
