"""Byte-level byte-pair encoding as CLIP uses it: the text pipeline, learning merges, and files of vocabularies.

A text is brought to NFC, runs of white space become one space, and letters become lower case. It is then
split into words, each word becomes its UTF-8 bytes written as one visible character per byte, and the last
character of a word carries ``</w>``. Merges join neighbours within a word (Sennrich et al. 2016, Alg. 1).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from glotclip import storage
from glotclip.errors import CheckpointError, ConfigError
from glotclip.textforms import well_formed

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from tokenizers.models import Model

Splitting = Literal["clip", "marks"]

SIMPLE_VOCABULARY = "bpe_simple_vocab_16e6.txt.gz"  # OpenAI's file of merges
_CHUNK = 1000  # texts whose bytes are looked for at once
START, END, END_OF_WORD = "<|startoftext|>", "<|endoftext|>", "</w>"

# "clip" is CLIP's own: a combining mark is no letter there, so it breaks Hindi, Bengali, Telugu and Thai words into
# single signs. "marks" keeps a mark with its letters; in texts without marks the two do the same.
WORDS: dict[Splitting, str] = {
    "clip": r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
    "marks": r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}\p{M}]+|[\p{N}]|[^\s\p{L}\p{M}\p{N}]+",
}


@dataclass(frozen=True)
class Vocabulary:
    """Tokens and merges in the order they are to be added; special tokens are not part of it."""

    tokens: tuple[str, ...]
    merges: tuple[tuple[str, str], ...]
    splitting: Splitting = "clip"


def byte_characters() -> dict[int, str]:
    """Byte → the visible character that stands for it, by GPT-2's table: printable Latin-1 is itself."""
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    table = {byte: chr(byte) for byte in visible}
    for byte in range(256):
        if byte not in table:
            table[byte] = chr(256 + len(table) - len(visible))
    return table


def check_splitting(splitting: str) -> Splitting:
    """Return ``splitting`` if it is known, else raise :class:`ConfigError`."""
    if splitting not in get_args(Splitting):
        raise ConfigError(f"unknown word splitting {splitting!r}", hint=f"use one of {', '.join(WORDS)}")
    return cast(Splitting, splitting)


def pipeline(model: Model, splitting: Splitting) -> Tokenizer:
    """Return a ``tokenizers.Tokenizer`` of CLIP's text pipeline around a BPE ``model``."""
    from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers

    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    # ByteLevel would split again by GPT-2's rule, which breaks words at combining marks: switch that off.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS[splitting]), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return tokenizer


def learn(texts: Iterable[str], size: int, splitting: Splitting = "marks", *, minimum: int = 0) -> Vocabulary:
    """Learn a byte-level BPE from texts; the same texts in the same order always give the same result.

    Args:
        texts: the corpus, one text at a time.
        size: wanted number of tokens, counting CLIP's two special tokens as the CLL-CLIP paper's code does
            (10,000 there); a small corpus gives fewer.
        splitting: how words are found, see :data:`WORDS`.
        minimum: how often a pair must occur to be merged.

    Returns:
        The bytes seen, the bytes seen at a word's end, then one token per merge. The special tokens are not in it.

    Raises:
        ConfigError: if ``size`` has no room for the bytes of the texts.
    """
    from tokenizers import trainers
    from tokenizers.models import BPE

    tokenizer: Any = pipeline(BPE(end_of_word_suffix=END_OF_WORD), check_splitting(splitting))
    corpus = [well_formed(text) for text in texts]
    seen: set[str] = set()
    last: set[str] = set()
    for start in range(0, len(corpus), _CHUNK):
        text = " ".join(corpus[start : start + _CHUNK])
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text)):
            seen.update(word)
            last.add(word[-1])
    # The trainer numbers the word-final bytes in the order of a hash table that differs from run to run, and breaks
    # ties between merges by those numbers. Handing it all bytes in order beforehand makes it deterministic.
    alphabet = [*sorted(seen), *(character + END_OF_WORD for character in sorted(last))]
    if size < len(alphabet) + 2:
        raise ConfigError(
            f"a vocabulary of {size} has no room for the {len(alphabet)} bytes of these texts and 2 special tokens",
            hint=f"use a size of at least {len(alphabet) + 2}; 2,000 to 10,000 is usual",
        )
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=minimum,
        special_tokens=[START, END, *alphabet],
        initial_alphabet=[],
        end_of_word_suffix=END_OF_WORD,
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer=trainer)
    model = json.loads(tokenizer.to_str())["model"]
    ordered = sorted(model["vocab"], key=model["vocab"].__getitem__)
    return Vocabulary(
        tokens=tuple(token for token in ordered if token not in (START, END)),
        merges=tuple((left, right) for left, right in model["merges"]),
        splitting=splitting,
    )


def read_simple_vocabulary(file: Path, size: int = 49_408) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Read OpenAI's merges file: ids are the bytes, the bytes at a word's end, the merges, the two special tokens."""
    try:
        lines = gzip.decompress(file.read_bytes()).decode("utf-8").split("\n")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise CheckpointError(f"cannot read {file}: {error}") from error
    alphabet = list(byte_characters().values())
    room = size - 2 * len(alphabet) - 2
    merges = _parse_merges(lines[1 : 1 + room], file)
    tokens = [*alphabet, *(character + END_OF_WORD for character in alphabet)]
    tokens += [left + right for left, right in merges]
    return {token: index for index, token in enumerate([*tokens, START, END])}, merges


def read_pair(folder: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Read ``vocab.json`` and ``merges.txt``."""
    vocabulary = storage.read_json(folder / "vocab.json")
    if not isinstance(vocabulary, dict) or not all(isinstance(value, int) for value in vocabulary.values()):
        raise CheckpointError(f"{folder / 'vocab.json'} is not a table of token: id")
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
            raise CheckpointError(f"{file}, line {number}: not a pair of tokens")
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
