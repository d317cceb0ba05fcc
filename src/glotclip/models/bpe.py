"""Byte-level byte-pair encoding as CLIP uses it: the text pipeline, and learning merges from texts.

A text is brought to NFC, runs of white space become one space, and letters become lower case. It is then
split into words, each word becomes its UTF-8 bytes written as one visible character per byte, and the last
character of a word carries ``</w>``. Merges join neighbours within a word (Sennrich et al. 2016, Alg. 1).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from glotclip.errors import ConfigError
from glotclip.textforms import well_formed

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from tokenizers.models import Model

Splitting = Literal["clip", "marks"]

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


def learn(texts: Iterable[str], size: int, splitting: Splitting = "marks") -> Vocabulary:
    """Learn a byte-level BPE from texts; the same texts in the same order always give the same result.

    Args:
        texts: the corpus, one text at a time.
        size: wanted number of tokens, counting CLIP's two special tokens as the CLL-CLIP paper's code does
            (10,000 there); a small corpus gives fewer.
        splitting: how words are found, see :data:`WORDS`.

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
    for text in corpus:
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
