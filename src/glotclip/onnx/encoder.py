"""An exported model, run by onnxruntime: the same queries and images as with torch, without torch.

Shapes: M texts, N images, B texts of a batch, T tokens, W width, E embedding.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from glotclip.data.similarity import normalised as normalised
from glotclip.errors import CheckpointError, ConfigError, TruncationWarning, require
from glotclip.languages import resolve
from glotclip.models.calibration import Calibration
from glotclip.models.preprocess import Preprocess
from glotclip.models.tokenizer import Tokenizer, load_tokenizer
from glotclip.models.tokens import Tokens, batch_end
from glotclip.models.windows import Long, check_long, windows
from glotclip.onnx.manifest import PROFILES, TABLE, Graph, read_export
from glotclip.onnx.rows import Rows, TokenTable, read_rows
from glotclip.packs.glossary import ENGLISH, Glossary, fused
from glotclip.packs.glossary import FILE as GLOSSARY
from glotclip.packs.guess import Guess, Guesser, guesser_among, shares_of
from glotclip.packs.language_profile import read_profiles
from glotclip.textforms import TextForm
from glotclip.threads import usable_cores

Floats = NDArray[np.float32]
BATCH_TOKENS, BATCH_IMAGES = 2048, 16


class OnnxEncoder:
    """Texts and images to features of one space; safe to use from several threads.

    Args:
        folder: what ``glotclip export`` wrote. Graphs and tables are read when they are first needed.

    Attributes:
        name: of the base.
        source: the folder's absolute path, by which it is found again.
        fingerprint: the base's where every graph is near enough to it, so that features of either are comparable.
        dim: E.
        languages: those that can be asked in.
        calibration: what its scores mean.

    Raises:
        CheckpointError: if the folder is no export, or a file of it is missing.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.export = read_export(self.folder)
        self.name: str = self.export.name
        self.source = str(self.folder.absolute())
        self.fingerprint: str = self.export.fingerprint
        self.dim: int = self.export.dim
        self.calibration: Calibration = self.export.calibration
        self.languages: tuple[str, ...] = tuple(self.export.languages)
        self._preprocess = _preprocess(self.export.preprocess, self.folder)
        self._lock = threading.Lock()
        self._sessions: dict[str, Any] = {}
        self._tokenizers: dict[str, Tokenizer] = {}
        self._rows: dict[str, Rows] = {}
        for graph in self.export.graphs().values():
            self._check_present(graph)

    def __repr__(self) -> str:
        return f"OnnxEncoder({str(self.folder)!r}, languages={list(self.languages)})"

    @property
    def features_key(self) -> str:
        """What features of images are cached under: those of torch differ in the last digits, or more."""
        return f"{self.fingerprint}-onnx-{self.export.image.sha256[:12]}"

    def reads_translations(self, lang: str) -> bool:
        """Whether a language was taught on translations into English, and must be asked in such."""
        code = resolve(lang, self.languages)
        return code is not None and self.export.languages[code].to_english

    # --- images ----------------------------------------

    @property
    def decode_size(self) -> int:
        """The shorter side in pixels beyond which a larger picture gives nothing more; 0 if all of it counts."""
        return self._preprocess.enough

    def preprocess(self, image: Image.Image | Path | str) -> Floats:
        """Read one image as the image tower wants it, float32 (3, H, W).

        Raises:
            ImageError: missing, broken, truncated, too large, or not an image.
        """
        return self._preprocess.load(image)

    def encode_images(self, batch: Sequence[Floats]) -> Floats:
        """Normalised features (N, E) of preprocessed images."""
        if not len(batch):
            return np.zeros((0, self.dim), np.float32)
        return normalised(self.image_features(np.stack(list(batch))))

    def image_features(self, pixels: Floats) -> Floats:
        """Raw features (N, E) of preprocessed pixels (N, 3, H, W): what a feature cache stores."""
        return run_images(self._session("image"), pixels) if len(pixels) else np.zeros((0, self.dim), np.float32)

    # --- texts ----------------------------------------

    def encode_texts(self, texts: Sequence[str], langs: str | Sequence[str], *, long: Long = "cut") -> Floats:
        """Encode texts as normalised features (M, E), float32.

        Args:
            texts: M texts, brought to the form that their language was learnt in.
            langs: the language of all of them, or one code a text; "auto" guesses as
                :meth:`glotclip.Polyglot.encode_text` does.
            long: what becomes of texts longer than the context: "cut" drops their ends, with a
                :class:`TruncationWarning`; "mean" averages the features of windows.

        Raises:
            LanguageError: if a language is not among those of the export.
        """
        check_long(long)
        shares = shares_of(texts, langs, self.languages, self.guess)
        features = np.zeros((len(texts), self.dim), np.float32)
        by_language: dict[str, list[int]] = {}
        for row, weights in enumerate(shares):
            for code in weights:
                by_language.setdefault(code, []).append(row)
        cut: set[int] = set()
        for code, rows in by_language.items():
            encoded, lost = self._encode([texts[row] for row in rows], code, long)
            features[rows] += np.array([[shares[row][code]] for row in rows], np.float32) * encoded
            cut.update(rows[place] for place in lost)
        if cut:
            limit, hint = self.export.context_length, "long='mean' (--long mean) reads them whole"
            warnings.warn(TruncationWarning(len(cut), len(texts), limit, hint=hint), stacklevel=2)
        several = [row for row, weights in enumerate(shares) if len(weights) > 1]
        features[several] = normalised(features[several])
        return features

    def guess(self, texts: Sequence[str]) -> list[Guess]:
        """Guess each text's language among :attr:`languages`, with the probability of each."""
        return self._guesser.guess(texts)

    @cached_property
    def _guesser(self) -> Guesser:
        path = self.folder / PROFILES
        taught = read_profiles(path) if path.exists() else {}
        shares = {code: partial(self._share, code) for code in self.export.looked_up}
        return guesser_among(self.languages, taught, shares, self._english_tokens)

    def _share(self, code: str, text: str) -> float:
        return self._glossary.share(text, code)

    def _english_tokens(self, texts: Sequence[str]) -> Tokens:
        return self._tokenizer(self.export.languages[ENGLISH].tokenizer).encode(texts)

    @cached_property
    def _glossary(self) -> Glossary:
        path = self.folder / GLOSSARY
        if not path.is_file():
            raise CheckpointError(f"{path} is missing", hint="copy the whole folder, or export the model again")
        return Glossary.read(path)

    def _encode(self, texts: Sequence[str], lang: str, long: Long) -> tuple[Floats, list[int]]:
        """Normalised features (M, E) of texts in one language, and which of them were cut."""
        language = self.export.languages[lang]
        tokenizer, form = self._tokenizer(language.tokenizer), TextForm(language.form)
        texts = [form(text, lang) if isinstance(text, str) else text for text in texts]
        tokens = tokenizer.encode(texts)
        features = normalised(self.encode_tokens(tokens, lang))
        if lang in self.export.looked_up:
            readings = self._glossary.readings(texts, lang)
            features = fused(features, readings, lambda english: self._encode(english, ENGLISH, "cut")[0])
        if long == "cut" or not tokens.truncated:
            return features, list(tokens.truncated)
        pieces = {row: windows(tokenizer, texts[row]) for row in tokens.truncated}
        read = tokenizer.encode([piece for some in pieces.values() for piece in some])
        each = normalised(self.encode_tokens(read, lang))
        ends = np.cumsum([len(some) for some in pieces.values()])[:-1]
        features[list(pieces)] = normalised(np.stack([some.mean(axis=0) for some in np.split(each, ends)]))
        return features, []

    def encode_tokens(self, tokens: Tokens, lang: str) -> Floats:
        """Raw features (M, E) of texts that are tokens already, in a language of the export."""
        language = self.export.languages[lang]
        if not len(tokens):  # graphs fail on an empty batch
            return np.zeros((0, self.dim), np.float32)
        table = TokenTable(self._table(TABLE), self._table(language.rows) if language.rows else None)
        padded = None if self.export.trims else self.export.context_length
        pad_id = self._tokenizer(language.tokenizer).pad_id
        return run_texts(self._session(language.graph), table, tokens, pad_id, padded)

    # --- what lies in the folder ----------------------------------------

    def check_language(self, lang: str) -> None:
        """Open a language's tokenizer and rows.

        Raises:
            CheckpointError: a file is missing or damaged.
        """
        language = self.export.languages[lang]
        self._tokenizer(language.tokenizer)
        for name in (TABLE, language.rows):
            if name:
                self._table(name)
        if lang in self.export.looked_up and lang not in self._glossary.codes:
            raise CheckpointError(f"{self.folder / GLOSSARY} has nothing in {lang}", hint="export the model again")

    def _session(self, name: str) -> Any:
        with self._lock:
            if name not in self._sessions:
                graph = self.export.image if name == "image" else self.export.texts[name]
                self._sessions[name] = open_session(self.folder / graph.file)
            return self._sessions[name]

    def _tokenizer(self, place: str) -> Tokenizer:
        with self._lock:
            if place not in self._tokenizers:
                self._tokenizers[place] = load_tokenizer(self.folder / place)
            return self._tokenizers[place]

    def _table(self, name: str) -> Rows:
        with self._lock:
            if name not in self._rows:
                rows = read_rows(self.folder, name)
                if (rows.ids is None) != (name == TABLE):  # rows of a language without ids would stand for others
                    raise CheckpointError(
                        f"{self.folder / name} lacks its token ids", hint="copy the whole folder, or export it again"
                    )
                self._rows[name] = rows
            return self._rows[name]

    def _check_present(self, graph: Graph) -> None:
        path = self.folder / graph.file
        size = path.stat().st_size if path.is_file() else 0
        if size != graph.bytes:
            said = f"has {size:,} bytes, not {graph.bytes:,}" if size else "is missing"
            raise CheckpointError(f"{path} {said}", hint="copy the whole folder, or export the model again")


def _preprocess(record: Mapping[str, Any], folder: Path) -> Preprocess:
    """The preprocessing that an export's record tells."""
    settings: dict[str, Any] = {key: tuple(it) if isinstance(it, list) else it for key, it in record.items()}
    try:
        return Preprocess(**settings)
    except (TypeError, ConfigError) as error:
        raise CheckpointError(f"{folder} has no usable preprocessing: {error}", hint="export it again") from error


def runtime() -> Any:
    """The package onnxruntime, which is not to report what it does to anybody.

    Raises:
        MissingExtraError: if it is not installed.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read once, when it is imported
    return require("onnxruntime", extra="onnx", purpose="an exported model")


def open_session(path: Path) -> Any:
    """Open a graph for running on the processor, with as many threads as this process computes with.

    Raises:
        CheckpointError: if it is damaged, or needs a newer onnxruntime.
    """
    onnxruntime = runtime()
    options = onnxruntime.SessionOptions()
    given = os.environ.get("OMP_NUM_THREADS", "")
    options.intra_op_num_threads = int(given) if given.isdecimal() and int(given) else usable_cores()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # a query is over before others wait
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no base class of its errors
        raise CheckpointError(
            f"{path} cannot be run: {error}", hint="copy or export it again, or update onnxruntime"
        ) from error


def run_texts(session: Any, table: TokenTable, tokens: Tokens, pad_id: int, padded: int | None) -> Floats:
    """Run a text graph: raw features (M, E) of at least one text, in the order of the texts.

    Args:
        session: of the graph.
        table: the token table of the texts' language.
        tokens: of the texts.
        pad_id: fills a batch's rectangle.
        padded: columns of every batch; None: as many as its longest text needs, and what fills up is never seen.
    """
    pad_id = pad_id if padded else int(tokens.flat[0])
    order = np.argsort(tokens.lengths, kind="stable")
    lengths = tokens.lengths[order] if padded is None else np.full(len(tokens), padded)
    parts, start = [], 0
    while start < len(order):
        stop = batch_end(lengths, start, BATCH_TOKENS)
        ids, sizes = tokens.padded(order[start:stop], pad_id, to=padded)
        parts.append(session.run(None, {"embedded": table.look_up(ids), "lengths": sizes})[0])
        start = stop
    found = np.concatenate(parts)
    features = np.empty_like(found)
    features[order] = found
    return features


def run_images(session: Any, pixels: Floats) -> Floats:
    """Run an image graph: raw features (N, E) of at least one image's pixels (N, 3, H, W)."""
    starts = range(0, len(pixels), BATCH_IMAGES)
    return np.concatenate([session.run(None, {"pixels": pixels[s : s + BATCH_IMAGES]})[0] for s in starts])
