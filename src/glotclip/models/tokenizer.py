"""Tokenizers: CLIP's byte-level BPE, which can grow by languages, and any other one from a ``tokenizer.json``."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from glotclip import storage
from glotclip.errors import CheckpointError, ConfigError
from glotclip.models import bpe
from glotclip.models.bpe import END, END_OF_WORD, START, Splitting, Vocabulary
from glotclip.models.tokens import Tokens

SETTINGS_FILE = "glotclip-tokenizer.json"
TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "merges.txt", SETTINGS_FILE)  # what saving one may write
SIMPLE_VOCABULARY = "bpe_simple_vocab_16e6.txt.gz"


@runtime_checkable
class Tokenizer(Protocol):
    """What a text tower's tokenizer must do."""

    @property
    def vocab_size(self) -> int:
        """Rows the token table needs: the highest id plus one."""

    @property
    def context_length(self) -> int:
        """Most tokens a text may have, special tokens included."""

    @property
    def pad_id(self) -> int:
        """The id that fills a batch's rectangle."""

    @property
    def special_ids(self) -> frozenset[int]:
        """Ids of the tokens that mark start, end and padding."""

    @property
    def identity(self) -> str:
        """A hash of everything that decides which ids a text gets."""

    def encode(self, texts: Sequence[str]) -> Tokens:
        """Return the ids of each text with special tokens, cut to the context with the end token kept."""

    def save(self, folder: Path) -> None:
        """Write the files from which the same tokenizer can be read again."""


class ClipTokenizer:
    """CLIP's byte-level BPE with end-of-word suffix, giving the ids of ``transformers``' CLIP tokenizer.

    Special tokens cannot be written in a text: ``<|endoftext|>`` in a caption is read as its characters. A byte
    that the vocabulary lacks becomes the end token, as in CLIP; CLIP's own vocabulary lacks none.
    """

    def __init__(
        self,
        vocabulary: Mapping[str, int],
        merges: Sequence[tuple[str, str]],
        *,
        context_length: int = 77,
        splitting: Splitting = "clip",
    ) -> None:
        """Check the vocabulary and build the tokenizer.

        Args:
            vocabulary: token → id, with ``<|startoftext|>`` and ``<|endoftext|>`` in it.
            merges: pairs in order of priority.
            context_length: most tokens a text may have.
            splitting: how words are found, see :data:`glotclip.models.bpe.WORDS`.

        Raises:
            CheckpointError: special tokens missing, two tokens with one id, or a merge of unknown tokens.
        """
        from tokenizers.models import BPE

        if context_length < 2:
            raise ConfigError(f"a context of {context_length} tokens", hint="start and end token alone need 2")
        self.context_length = context_length
        self.splitting = bpe.check_splitting(splitting)
        self.vocabulary = dict(vocabulary)
        self.merges = tuple((left, right) for left, right in merges)
        _check(self.vocabulary, self.merges)
        self.start_id, self.end_id = self.vocabulary[START], self.vocabulary[END]
        self.pad_id = self.end_id
        self.special_ids = frozenset((self.start_id, self.end_id))
        model = BPE(
            vocab=self.vocabulary, merges=list(self.merges), end_of_word_suffix=END_OF_WORD, unk_token=END,
            fuse_unk=False,
        )  # fmt: skip
        self._tokenizer: Any = bpe.pipeline(model, self.splitting)

    @property
    def vocab_size(self) -> int:
        """Rows the token table needs: the highest id plus one."""
        return max(self.vocabulary.values()) + 1

    @property
    def identity(self) -> str:
        """Hash of vocabulary, merges, splitting and context length."""
        content = [sorted(self.vocabulary.items()), self.merges, self.splitting, self.context_length]
        return "clip:" + hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]

    def encode(self, texts: Sequence[str]) -> Tokens:
        """Return the ids of each text: start token, its pieces cut to the context, end token."""
        room = self.context_length - 2
        encodings = self._tokenizer.encode_batch_fast(
            [bpe.well_formed(text) for text in _all_text(texts)], add_special_tokens=False
        )
        pieces = [encoding.ids for encoding in encodings]
        return Tokens.from_lists(
            ([self.start_id, *ids[:room], self.end_id] for ids in pieces),
            truncated=[index for index, ids in enumerate(pieces) if len(ids) > room],
        )

    def extended(self, vocabulary: Vocabulary) -> ClipTokenizer:
        """Return a tokenizer that also has ``vocabulary``, split by its rule (CLL-CLIP's union of vocabularies).

        Tokens known keep their ids (a shared row); new ones get the next ids in order. Merges known come first and
        so have priority; new ones follow. No id ever moves, and special tokens stay where they are.
        """
        union = dict(self.vocabulary)
        free = self.vocab_size
        for token in vocabulary.tokens:
            if token not in union:
                union[token] = free
                free += 1
        known = set(self.merges)
        fresh = tuple(dict.fromkeys(pair for pair in vocabulary.merges if pair not in known))
        return ClipTokenizer(
            union, self.merges + fresh, context_length=self.context_length, splitting=vocabulary.splitting
        )

    def added(self, base: ClipTokenizer) -> Vocabulary:
        """Return what this tokenizer has beyond ``base``, so that ``base.extended(self.added(base))`` equals it.

        Raises:
            ConfigError: if this tokenizer does not descend from ``base``.
        """
        head = len(base.merges)
        if self.merges[:head] != base.merges or not base.vocabulary.items() <= self.vocabulary.items():
            raise ConfigError(
                "the tokenizer does not extend this base's vocabulary",
                hint="use the base that the language was learnt on",
            )
        new = sorted(self.vocabulary.keys() - base.vocabulary.keys(), key=self.vocabulary.__getitem__)
        return Vocabulary(tuple(new), self.merges[head:], self.splitting)

    def byte_fallback(self, tokens: Tokens) -> float:
        """Share of pieces (special tokens apart) that are one byte of a longer character, or an unknown byte.

        Near 0 the vocabulary fits the texts' script; near 1 the script is spelt byte by byte.
        """
        high = {character for byte, character in bpe.byte_characters().items() if byte >= 0x80}
        single = [id_ for token, id_ in self.vocabulary.items() if token.removesuffix(END_OF_WORD) in high]
        is_byte = np.zeros(self.vocab_size, dtype=bool)
        is_byte[single] = True
        is_byte[self.end_id] = True
        inner = np.ones(len(tokens.flat), dtype=bool)
        inner[tokens.offsets[:-1]] = False
        inner[tokens.offsets[1:] - 1] = False
        pieces = tokens.flat[inner]
        return float(is_byte[pieces].mean()) if len(pieces) else 0.0

    def save(self, folder: Path) -> None:
        """Write ``vocab.json`` and ``merges.txt`` (the layout others read) and our settings beside them."""
        folder.mkdir(parents=True, exist_ok=True)
        storage.write_text(folder / "vocab.json", json.dumps(self.vocabulary, ensure_ascii=False))
        lines = "".join(f"{left} {right}\n" for left, right in self.merges)
        storage.write_text(folder / "merges.txt", f"#version: 0.2\n{lines}")
        settings = {"kind": "clip", "context_length": self.context_length, "splitting": self.splitting}
        storage.write_json(folder / SETTINGS_FILE, settings)

    @classmethod
    def load(cls, folder: Path, *, context_length: int | None = None) -> ClipTokenizer:
        """Read ``vocab.json`` + ``merges.txt``, or a CLIP ``tokenizer.json``, or OpenAI's compressed merges file.

        Args:
            folder: where the files lie.
            context_length: of the text tower; otherwise what :meth:`save` wrote, otherwise 77.

        Raises:
            CheckpointError: no such files, or damaged ones.
        """
        settings = storage.read_json(folder / SETTINGS_FILE) if (folder / SETTINGS_FILE).exists() else {}
        splitting = bpe.check_splitting(settings.get("splitting", "clip"))
        context = context_length or int(settings.get("context_length", 77))
        if (folder / "vocab.json").exists() and (folder / "merges.txt").exists():
            vocabulary, merges = _read_pair(folder)
        elif (folder / "tokenizer.json").exists():
            vocabulary, merges = _read_tokenizer_json(folder / "tokenizer.json")
        elif (folder / SIMPLE_VOCABULARY).exists():
            vocabulary, merges = read_simple_vocabulary(folder / SIMPLE_VOCABULARY)
        else:
            raise CheckpointError(
                f"{folder} holds no CLIP tokenizer",
                hint=f"put vocab.json and merges.txt, tokenizer.json, or {SIMPLE_VOCABULARY} beside the weights",
            )
        return cls(vocabulary, merges, context_length=context, splitting=splitting)


class HfTokenizer:
    """Any tokenizer that a ``tokenizer.json`` describes (SigLIP); special tokens are added as that file says."""

    def __init__(self, file: Path, *, context_length: int, pad_id: int) -> None:
        """Read the file.

        Args:
            file: a ``tokenizer.json`` of the ``tokenizers`` library.
            context_length: most tokens a text may have.
            pad_id: what fills a batch's rectangle; SigLIP attends to it, so it matters.

        Raises:
            CheckpointError: the file is missing or damaged.
        """
        from tokenizers import Tokenizer as Backend

        try:
            self._content = file.read_text(encoding="utf-8")
            backend = Backend.from_str(self._content)
        except OSError as error:
            raise CheckpointError(f"cannot read {file}: {error.strerror}", hint="check the path") from error
        except Exception as error:
            raise CheckpointError(f"{file} is not a tokenizer: {error}", hint="fetch the file again") from error
        backend.no_padding()
        backend.enable_truncation(context_length)
        self._tokenizer: Any = backend
        self.context_length = context_length
        self.pad_id = pad_id
        self.special_ids = frozenset([*backend.encode("").ids, pad_id])
        self.vocab_size = max(max(backend.get_vocab(with_added_tokens=True).values()), pad_id) + 1

    @property
    def identity(self) -> str:
        """Hash of the file, the context length and the padding id."""
        content = f"{self.context_length} {self.pad_id} {self._content}"
        return "hf:" + hashlib.sha256(content.encode()).hexdigest()[:32]

    def encode(self, texts: Sequence[str]) -> Tokens:
        """Return the ids of each text, cut to the context with the special tokens kept."""
        encodings = self._tokenizer.encode_batch([bpe.well_formed(text) for text in _all_text(texts)])
        return Tokens.from_lists(
            (encoding.ids for encoding in encodings),
            truncated=[index for index, encoding in enumerate(encodings) if encoding.overflowing],
        )

    def save(self, folder: Path) -> None:
        """Write ``tokenizer.json`` as it was read, and the settings that are not in it."""
        folder.mkdir(parents=True, exist_ok=True)
        storage.write_text(folder / "tokenizer.json", self._content)
        settings = {"kind": "hf", "context_length": self.context_length, "pad_id": self.pad_id}
        storage.write_json(folder / SETTINGS_FILE, settings)

    @classmethod
    def load(cls, folder: Path) -> HfTokenizer:
        """Read what :meth:`save` wrote."""
        settings = storage.read_json(folder / SETTINGS_FILE)
        return cls(folder / "tokenizer.json", context_length=settings["context_length"], pad_id=settings["pad_id"])


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


def _read_pair(folder: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    vocabulary = storage.read_json(folder / "vocab.json")
    if not isinstance(vocabulary, dict) or not all(isinstance(value, int) for value in vocabulary.values()):
        raise CheckpointError(f"{folder / 'vocab.json'} is not a table of token: id", hint="fetch the file again")
    lines = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")
    if lines[0].startswith("#version"):
        lines = lines[1:]
    return vocabulary, _parse_merges(lines, folder / "merges.txt")


def _read_tokenizer_json(file: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
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


def _check(vocabulary: Mapping[str, int], merges: Sequence[tuple[str, str]]) -> None:
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


def _all_text(texts: Sequence[str]) -> Sequence[str]:
    """Guard against the two common slips: one string instead of a list, and a list with None in it."""
    if isinstance(texts, str):
        raise ConfigError("encode() takes a list of texts, got one string", hint="write encode([text])")
    for index, text in enumerate(itertools.islice(texts, len(texts))):
        if not isinstance(text, str):
            raise ConfigError(f"text {index} is {type(text).__name__}, not a string", hint="remove or convert it")
    return texts
