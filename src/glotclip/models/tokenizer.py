"""Tokenizers: CLIP's byte-level BPE, which can grow by languages, and any other one from a ``tokenizer.json``."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from glotclip import storage
from glotclip.errors import CheckpointError, ConfigError
from glotclip.models import bpe
from glotclip.models.bpe import END, END_OF_WORD, SIMPLE_VOCABULARY, START, Splitting, Vocabulary
from glotclip.models.sentencepiece_model import Charsmap, canonical
from glotclip.models.text_prefix import prefixed
from glotclip.models.tokens import Tokens
from glotclip.textforms import well_formed

SETTINGS_FILE = "glotclip-tokenizer.json"
TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "merges.txt", SETTINGS_FILE)  # what saving one may write


@runtime_checkable
class Tokenizer(Protocol):
    """What a text tower's tokenizer must do.

    Attributes:
        vocab_size: rows the token table needs: the highest id plus one.
        context_length: most tokens a text may have, special tokens included.
        pad_id: fills a batch's rectangle.
        special_ids: of the tokens that mark start, end and padding.
    """

    vocab_size: int
    context_length: int
    pad_id: int
    special_ids: frozenset[int]

    @property
    def identity(self) -> str:
        """A hash of everything that decides which ids a text gets."""

    @property
    def pieces(self) -> list[str]:
        """All tokens, as the tokenizer writes them."""

    def encode(self, texts: Sequence[str]) -> Tokens:
        """Return the ids of each text with special tokens, cut to the context with the end token kept."""

    def spans(self, text: str) -> tuple[str, list[tuple[int, int]]]:
        """Return the text as it is cut, and where in it each token lies, special ones apart and none cut off."""

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
        bpe.check_vocabulary(self.vocabulary, self.merges)
        self.start_id, self.end_id = self.vocabulary[START], self.vocabulary[END]
        self.pad_id = self.end_id
        self.special_ids = frozenset((self.start_id, self.end_id))
        self.vocab_size = max(self.vocabulary.values()) + 1
        model = BPE(
            vocab=self.vocabulary, merges=list(self.merges), end_of_word_suffix=END_OF_WORD, unk_token=END,
            fuse_unk=False,
        )  # fmt: skip
        self._tokenizer: Any = bpe.pipeline(model, self.splitting)

    @property
    def identity(self) -> str:
        """Hash of vocabulary, merges, splitting and context length."""
        content = [sorted(self.vocabulary.items()), self.merges, self.splitting, self.context_length]
        return "clip:" + hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]

    def encode(self, texts: Sequence[str]) -> Tokens:
        """Return the ids of each text: start token, its pieces cut to the context, end token."""
        room = self.context_length - 2
        encodings = self._tokenizer.encode_batch_fast(
            [well_formed(text) for text in _all_text(texts)], add_special_tokens=False
        )
        pieces = [encoding.ids for encoding in encodings]
        return Tokens.from_lists(
            ([self.start_id, *ids[:room], self.end_id] for ids in pieces),
            truncated=[index for index, ids in enumerate(pieces) if len(ids) > room],
        )

    def spans(self, text: str) -> tuple[str, list[tuple[int, int]]]:
        """Return the text as it is cut, and where in it each token lies, special ones apart and none cut off."""
        text = well_formed(text)
        return text, list(self._tokenizer.encode(text, add_special_tokens=False).offsets)

    @property
    def pieces(self) -> list[str]:
        """All tokens, as the tokenizer writes them."""
        return list(self.vocabulary)

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
            vocabulary, merges = bpe.read_pair(folder)
        elif (folder / "tokenizer.json").exists():
            vocabulary, merges = bpe.read_tokenizer_json(folder / "tokenizer.json")
        elif (folder / SIMPLE_VOCABULARY).exists():
            vocabulary, merges = bpe.read_simple_vocabulary(folder / SIMPLE_VOCABULARY)
        else:
            raise CheckpointError(
                f"{folder} holds no CLIP tokenizer",
                hint=f"put vocab.json and merges.txt, tokenizer.json, or {SIMPLE_VOCABULARY} beside the weights",
            )
        return cls(vocabulary, merges, context_length=context, splitting=splitting)


Rule = Literal["file", "siglip", "siglip-cased"]
Side = Literal["right", "left"]


class HfTokenizer:
    """Any tokenizer that a ``tokenizer.json`` describes (SigLIP, XLM-R); special tokens are added as that file says.

    With ``rule="siglip"`` texts are first brought to SigLIP's form (``"siglip-cased"``: with their case), and the
    file's table of replaced characters is applied as SentencePiece does. With ``padding="left"`` each text comes
    filled up to the context, in front.
    """

    def __init__(
        self,
        file: Path | str,
        *,
        context_length: int,
        pad_id: int,
        rule: Rule = "file",
        padding: Side = "right",
        truncation: Side = "right",
    ) -> None:
        """Read the file.

        Args:
            file: a ``tokenizer.json`` of the ``tokenizers`` library, or its text.
            context_length: most tokens a text may have.
            pad_id: what fills a batch's rectangle; SigLIP attends to it, so it matters.
            rule: what is done to texts before the file's own rules.
            padding: on which side of a text what fills the rectangle stands.
            truncation: from which side a text that is too long loses tokens.

        Raises:
            CheckpointError: the file is missing or damaged.
        """
        from tokenizers import Tokenizer as Backend

        where = file if isinstance(file, Path) else "the tokenizer"
        try:
            self._content = file.read_text(encoding="utf-8") if isinstance(file, Path) else file
            running, self._charsmap = (self._content, None) if rule == "file" else _without_charsmap(self._content)
            backend = Backend.from_str(running)
        except OSError as error:
            raise CheckpointError(f"cannot read {file}: {error.strerror}", hint="check the path") from error
        except Exception as error:
            raise CheckpointError(f"{where} is not a tokenizer: {error}") from error
        backend.no_padding()
        backend.enable_truncation(context_length, direction=truncation)
        self._tokenizer: Any = backend
        self.context_length = context_length
        self.pad_id = pad_id
        self.rule, self.padding, self.truncation = rule, padding, truncation
        self.special_ids = frozenset([*backend.encode("").ids, pad_id])
        self.vocab_size = max(max(backend.get_vocab(with_added_tokens=True).values()), pad_id) + 1

    @property
    def pieces(self) -> list[str]:
        """All tokens, as the tokenizer writes them."""
        return list(self._tokenizer.get_vocab(with_added_tokens=True))

    def with_prefix(self, prefix: str) -> HfTokenizer:
        """The tokenizer that reads ``prefix`` before every text; no text that is cut loses it."""
        return HfTokenizer(
            prefixed(self._content, prefix), context_length=self.context_length, pad_id=self.pad_id, rule=self.rule,
            padding=self.padding, truncation=self.truncation,
        )  # fmt: skip

    @property
    def _unusual(self) -> dict[str, str]:
        """Settings that are not the usual ones; only these are hashed and saved."""
        settings = {"rule": self.rule, "padding": self.padding, "truncation": self.truncation}
        return {key: value for key, value in settings.items() if value not in ("file", "right")}

    @property
    def identity(self) -> str:
        """Hash of the file, the context length, the padding id and what else decides the ids."""
        unusual = "".join(f"{key}={value} " for key, value in self._unusual.items())
        content = f"{self.context_length} {self.pad_id} {unusual}{self._content}"
        return "hf:" + hashlib.sha256(content.encode()).hexdigest()[:32]

    def encode(self, texts: Sequence[str]) -> Tokens:
        """Return the ids of each text, cut to the context with the special tokens kept."""
        encodings = self._tokenizer.encode_batch([self._prepared(text) for text in _all_text(texts)])
        room = self.context_length if self.padding == "left" else 0
        return Tokens.from_lists(
            ([self.pad_id] * (room - len(encoding.ids)) + encoding.ids for encoding in encodings),
            truncated=[index for index, encoding in enumerate(encodings) if encoding.overflowing],
        )

    def spans(self, text: str) -> tuple[str, list[tuple[int, int]]]:
        """Return the text as it is cut, and where in it each token lies, special ones apart and none cut off."""
        text = self._prepared(text)
        first = self._tokenizer.encode(text, add_special_tokens=False)
        return text, [span for part in (first, *first.overflowing) for span in part.offsets]

    def _prepared(self, text: str) -> str:
        text = well_formed(text)
        if self.rule == "file":
            return text
        text = canonical(text, lower=self.rule == "siglip")
        return self._charsmap.replace(text) if self._charsmap else text

    def save(self, folder: Path) -> None:
        """Write ``tokenizer.json`` as it was read, and the settings that are not in it."""
        folder.mkdir(parents=True, exist_ok=True)
        storage.write_text(folder / "tokenizer.json", self._content)
        settings = {"kind": "hf", "context_length": self.context_length, "pad_id": self.pad_id, **self._unusual}
        storage.write_json(folder / SETTINGS_FILE, settings)

    @classmethod
    def load(cls, folder: Path) -> HfTokenizer:
        """Read what :meth:`save` wrote.

        Raises:
            CheckpointError: a file is missing or damaged, or has settings of a newer version.
        """
        settings = storage.read_json(folder / SETTINGS_FILE)
        known = ("kind", "context_length", "pad_id", "rule", "padding", "truncation")
        if (
            not isinstance(settings, dict)
            or set(settings) - set(known)
            or not {"context_length", "pad_id"} <= set(settings)
        ):
            raise CheckpointError(
                f"{folder / SETTINGS_FILE} does not hold the settings {', '.join(known)}",
                hint="restore the file, or update glotclip",
            )
        return cls(folder / "tokenizer.json", **{key: settings[key] for key in known[1:] if key in settings})


def load_tokenizer(folder: Path) -> ClipTokenizer | HfTokenizer:
    """Read what either tokenizer's ``save`` wrote.

    Raises:
        CheckpointError: a file is missing or damaged.
    """
    settings = storage.read_json(folder / SETTINGS_FILE)
    foreign = isinstance(settings, dict) and settings.get("kind") == "hf"
    return HfTokenizer.load(folder) if foreign else ClipTokenizer.load(folder)


def _without_charsmap(content: str) -> tuple[str, Charsmap | None]:
    """Take the table of replaced characters out of a ``tokenizer.json``, to apply it as SentencePiece does."""
    table = json.loads(content)
    normalizer = table.get("normalizer") or {}
    steps = normalizer.get("normalizers", [normalizer]) if normalizer else []
    maps = [step["precompiled_charsmap"] for step in steps if step["type"] == "Precompiled"]
    if len(maps) > 1:
        raise ValueError("it has several tables of replaced characters")
    kept = [step for step in steps if step["type"] != "Precompiled"]
    table["normalizer"] = {"type": "Sequence", "normalizers": kept} if kept else None
    charsmap = Charsmap(base64.b64decode(maps[0])) if maps and maps[0] else None
    return json.dumps(table, ensure_ascii=False), charsmap


def _all_text(texts: Sequence[str]) -> Sequence[str]:
    """Guard against the two common slips: one string instead of a list, and a list with None in it."""
    if isinstance(texts, str):
        raise ConfigError("encode() takes a list of texts, got one string", hint="write encode([text])")
    for index, text in enumerate(itertools.islice(texts, len(texts))):
        if not isinstance(text, str):
            raise ConfigError(f"text {index} is {type(text).__name__}, not a string", hint="remove or convert it")
    return texts
