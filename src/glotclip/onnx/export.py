"""Writing a model as a folder of graphs, tables and tokenizers for :class:`~glotclip.onnx.encoder.OnnxEncoder`.

Every graph is compared with the tower that it was made of, on texts of every language and on images: in full
precision it must give the same features, and with 8-bit weights the cosine of every sample's two features must reach
a limit, or full precision is kept.

Shapes: V rows of the table, W width, M texts, N images.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from glotclip import __version__
from glotclip.errors import CheckpointError, ConfigError, GlotclipError, require
from glotclip.languages import check_installed
from glotclip.models.hooks import TextHooks
from glotclip.models.tokens import Tokens
from glotclip.onnx import graphs, quantise, samples
from glotclip.onnx.encoder import normalised, open_session, run_images, run_texts, runtime
from glotclip.onnx.manifest import FILE, PROFILES, TABLE, Export, Graph, Language, Parity, Precision
from glotclip.onnx.rows import Floats, Rows, TokenTable, quantised, write_rows
from glotclip.packs.glossary import ENGLISH, Glossary
from glotclip.packs.glossary import FILE as GLOSSARY
from glotclip.packs.language_profile import write_profiles
from glotclip.packs.pack import LanguagePack
from glotclip.packs.polyglot import Polyglot
from glotclip.storage import file_sha256, write_json, writing_folder

Wish = Literal["auto", "fp32", "int8"]
Progress = Callable[[str, int, int], None]
LIMIT = 0.99  # the cosine that an int8 graph must reach on every sample
EXACT = 1e-4  # more than this a number of a feature may not differ in full precision
SMALLER = 0.75  # an int8 graph that is not smaller than this share of the other is not worth it
MAIN = "text"


@dataclass
class _Text:
    """A text graph, the languages that it serves, and whatever it was written as.

    Attributes:
        hooks: of one of its languages; all of them act alike beyond the table.
        languages: their codes.
        files: by precision.
        parity: by precision.
    """

    hooks: TextHooks | None
    languages: list[str] = field(default_factory=list)
    files: dict[Precision, Path] = field(default_factory=dict)
    parity: dict[str, Parity] = field(default_factory=dict)


@dataclass(frozen=True)
class _Taught:
    """What a language is compared on: its tokens, what the tower makes of them, and the rows of its own."""

    tokens: Tokens
    expected: Floats
    rows: str | None


class Exporter:
    """One export in the making.

    Args:
        polyglot: the model, on the processor.
        folder: where files are written.
        scratch: where files lie of which it is not sure that they are kept.
        precision: which is wished for.
        limit: the cosine that an int8 graph must reach.
    """

    def __init__(self, polyglot: Polyglot, folder: Path, scratch: Path, precision: Wish, limit: float) -> None:
        self.polyglot, self.base = polyglot, polyglot.base
        self.folder, self.scratch = folder, scratch
        self.precision, self.limit = precision, limit
        self.table = graphs.table_of(self.base.text, None, len(self.base.text.table)).numpy()
        self.own: dict[str, tuple[NDArray[np.int64], Floats]] = {}  # rows of languages by name
        self.texts: dict[str, _Text] = {}
        self.languages: dict[str, Language] = {}
        self.taught: dict[str, _Taught] = {}
        self.refused: dict[str, str] = {}
        self._tokenizers: dict[str, str] = {}  # identity → folder
        self._rows_of: dict[int, str] = {}  # id of a module → name
        self._graph_of: dict[tuple[int, ...], str] = {}  # ids of modules → name

    # --- languages ----------------------------------------

    def add_language(self, code: str) -> None:
        """Write what a language needs; one that cannot be exported is refused, with the reason."""
        pack = self.polyglot.pack_of(code)
        tokenizer = pack.state.tokenizer if pack else self.base.tokenizer
        form = pack.text_form(code) if pack else self.base.text_form
        modules = list(pack.state.stack(code).layers) if pack else []
        hooks = self.polyglot.hooks_of(code)
        try:
            graph = self._add_graph(code, hooks, [each for each in modules if not _replaces(each)])
        except Exception as error:
            if not modules:  # the base itself: then nothing can be exported
                raise
            kinds = ", ".join(dict.fromkeys(getattr(each, "kind", "?") for each in modules))
            said = error.message if isinstance(error, GlotclipError) else _first_line(error)
            self.refused[code] = f"its modules ({kinds}) cannot be written as a graph: {said}"
            return
        tables = [each for each in modules if _replaces(each)]
        rows = self._add_rows(hooks, tokenizer.vocab_size, tables[0]) if tables else None
        self.texts[graph].languages.append(code)
        self.languages[code] = Language(
            graph=graph, tokenizer=self._add_tokenizer(tokenizer), form=form.name, rows=rows,
            to_english=self.polyglot.reads_translations(code),
        )  # fmt: skip
        tokens = tokenizer.encode([form(text, code) for text in samples.texts(code)])
        expected = normalised(self.base.encode_tokens(tokens, hooks).numpy())
        self.taught[code] = _Taught(tokens, expected, rows)

    def _add_graph(self, code: str, hooks: TextHooks | None, acting: Sequence[Any]) -> str:
        key = tuple(id(each) for each in acting)
        if key not in self._graph_of:
            name = f"{MAIN}-{code}" if acting else MAIN
            raw, folded = self.scratch / "raw.onnx", self.scratch / f"{name}.onnx"
            graphs.write_text_graph(self.base, hooks if acting else None, raw)
            quantise.fold(raw, folded)
            self.texts[name] = _Text(hooks, files={"fp32": folded})
            self._graph_of[key] = name
        return self._graph_of[key]

    def _add_rows(self, hooks: TextHooks | None, size: int, module: Any) -> str:
        if id(module) not in self._rows_of:
            name = f"rows-{len(self._rows_of) + 1}"
            full = graphs.table_of(self.base.text, hooks, size).numpy()
            both = min(size, len(self.table))
            changed = np.concatenate([(full[:both] != self.table[:both]).any(axis=1), np.ones(size - both, bool)])
            ids = np.flatnonzero(changed)
            self.own[name] = ids, full[ids]
            self._rows_of[id(module)] = name
        return self._rows_of[id(module)]

    def _add_tokenizer(self, tokenizer: Any) -> str:
        if tokenizer.identity not in self._tokenizers:
            place = "tokenizer" if not self._tokenizers else f"tokenizer-{len(self._tokenizers)}"
            tokenizer.save(self.folder / place)
            self._tokenizers[tokenizer.identity] = place
        return self._tokenizers[tokenizer.identity]

    # --- precision ----------------------------------------

    def finish_texts(self) -> dict[str, Graph]:
        """Compare the text graphs, decide on their precision, and put graphs and tables in their place.

        All text graphs have one precision, since they share a table.
        """
        for text in self.texts.values():
            text.parity["fp32"] = _exact(self._compare(text, "fp32"), self.base.name)
        small = False
        if self.precision != "fp32":
            for name, text in self.texts.items():
                text.files["int8"] = self.scratch / f"{name}.int8.onnx"
                quantise.quantise(text.files["fp32"], text.files["int8"])
                text.parity["int8"] = self._compare(text, "int8")
            small = self.precision == "int8" or all(
                text.parity["int8"].cosine >= self.limit for text in self.texts.values()
            )
        write_rows(self.folder, TABLE, self.table, small=small)
        for name, (ids, rows) in self.own.items():
            write_rows(self.folder, name, rows, ids, small=small)
        kept: Precision = "int8" if small else "fp32"
        return {name: self._place(name, text.files[kept], kept, text.parity) for name, text in self.texts.items()}

    def _compare(self, text: _Text, precision: Precision) -> Parity:
        """How far the graph and the table in a precision are from the tower, on texts of all its languages."""
        session = open_session(text.files[precision])
        padded = None if self.base.text.trims else self.base.text.config.context_length
        found, expected = [], []
        for code in text.languages:
            taught = self.taught[code]
            ids, rows = (None, None) if taught.rows is None else self.own[taught.rows]
            own = None if rows is None else _rows(rows, ids, precision=precision)
            table = TokenTable(_rows(self.table, precision=precision), own)
            pad_id = self.base.tokenizer.pad_id
            found.append(run_texts(session, table, taught.tokens, pad_id, padded))
            expected.append(taught.expected)
        return _parity(np.concatenate(found), np.concatenate(expected))

    def add_images(self, folder: Path | None) -> Graph:
        """Write the image tower's graph in the precision that its comparison decides."""
        chosen, which = samples.images(folder)
        pixels = np.stack([self.base.preprocess.load(image) for image in chosen])
        expected = normalised(self.base.encode_pixels(pixels).numpy())
        raw, full, less = (self.scratch / f"image{suffix}.onnx" for suffix in (".raw", "", ".int8"))
        graphs.write_image_graph(self.base, raw)
        quantise.fold(raw, full)

        def compared(path: Path) -> Parity:
            return _parity(run_images(open_session(path), pixels), expected, which)

        parity = {"fp32": _exact(compared(full), self.base.name)}
        if self.precision != "fp32":
            quantise.quantise(full, less)
            parity["int8"] = compared(less)
            worth = less.stat().st_size <= SMALLER * full.stat().st_size
            if self.precision == "int8" or (worth and parity["int8"].cosine >= self.limit):
                return self._place("image", less, "int8", parity)
        return self._place("image", full, "fp32", parity)

    def _place(self, name: str, source: Path, precision: Precision, parity: dict[str, Parity]) -> Graph:
        path = self.folder / f"{name}.onnx"
        path.write_bytes(source.read_bytes())
        return Graph(
            file=path.name, sha256=file_sha256(path), bytes=path.stat().st_size, precision=precision, parity=parity
        )


def export(
    polyglot: Polyglot,
    out: Path | str,
    *,
    precision: Wish = "auto",
    languages: Sequence[str] | None = None,
    images: Path | None = None,
    limit: float = LIMIT,
    progress: Progress = lambda what, done, total: None,
) -> Export:
    """Write a model as a folder that runs without torch.

    Args:
        polyglot: the model; it is moved to the processor.
        out: the folder to write, which must not exist yet, or be empty.
        precision: "fp32", "int8", or "auto": int8 where it is near enough to fp32.
        languages: which of the model's; all if not given.
        images: a folder of images to compare on; drawn ones if not given.
        limit: the cosine that an int8 graph must reach on every sample.
        progress: called with (what, done, total).

    Returns:
        What ``export.json`` says: the files, their precision and parity, and languages that were refused.

    Raises:
        ConfigError: if the precision is unknown, or a tower of the base cannot be a graph.
        CheckpointError: if a graph in full precision does not give the model's features.
        LanguageError: if a language is not installed.
        MissingExtraError: if the exporter is not installed.
        StorageError: if ``out`` holds anything.
    """
    wish = check_precision(precision)
    base = polyglot.to("cpu").base
    chosen = [check_installed(code, polyglot.languages) for code in languages or polyglot.languages]
    with writing_folder(Path(out)) as aside, tempfile.TemporaryDirectory(prefix="glotclip-export-") as scratch:
        exporter = Exporter(polyglot, aside, Path(scratch), wish, limit)
        packs = {code: pack for code in chosen if (pack := polyglot.pack_of(code)) is not None}
        glossed = ENGLISH in polyglot.languages and any(pack.glossary is not None for pack in packs.values())
        steps = len(chosen) + 2
        image = exporter.add_images(images)
        for done, code in enumerate(dict.fromkeys([*chosen, *([ENGLISH] if glossed else [])]), start=1):
            progress("exporting", done, steps)
            exporter.add_language(code)
        if not set(chosen) & set(exporter.languages):
            code, reason = next(iter(exporter.refused.items()))
            raise ConfigError(f"no language can be exported; {code}: {reason}", hint="export the base alone")
        progress("exporting", steps - 1, steps)
        texts = exporter.finish_texts()
        looked_up = _write_beside(aside, {code: packs[code] for code in exporter.languages if code in packs})
        near = all(graph.parity[graph.precision].cosine >= limit for graph in (image, *texts.values()))
        record = Export(
            name=base.name, base=base.fingerprint, fingerprint=base.fingerprint + ("" if near else "-int8"),
            dim=base.embed_dim, context_length=base.text.config.context_length, trims=base.text.trims, limit=limit,
            precision=wish, preprocess=base.preprocess.record(), calibration=base.calibration, image=image,
            texts=texts, languages=exporter.languages, looked_up=looked_up, refused=exporter.refused,
            glotclip=__version__, created=datetime.now(UTC).isoformat(timespec="seconds"),
        )  # fmt: skip
        write_json(aside / FILE, record.model_dump(mode="json"))
        progress("exporting", steps, steps)
    return record


def _write_beside(folder: Path, packs: Mapping[str, LanguagePack]) -> tuple[str, ...]:
    """Write what texts of exported languages are guessed and looked up by, and return which are looked up."""
    profiles = {code: pack.profiles[code] for code, pack in packs.items() if code in pack.profiles}
    if profiles:
        write_profiles(folder / PROFILES, profiles)
    glossaries = {code: pack.glossary for code, pack in packs.items() if pack.glossary is not None}
    if glossaries:
        reduce(Glossary.joined, glossaries.values()).only(list(glossaries)).write(folder / GLOSSARY)
    return tuple(glossaries)


def check_tools(precision: str) -> None:
    """Check, before anything is loaded, that the precision is known and the packages that write graphs are there.

    Raises:
        ConfigError, MissingExtraError: if not.
    """
    check_precision(precision)
    for package in ("onnx", "onnxscript"):
        require(package, extra="export", purpose="exporting to ONNX")
    runtime()


def check_precision(name: str) -> Wish:
    """Check a precision by the name that ``--precision`` takes."""
    if name not in get_args(Wish):
        raise ConfigError(f"unknown precision {name!r}", hint=f"use {', '.join(get_args(Wish))}")
    return cast(Wish, name)


def _replaces(module: Any) -> bool:
    return bool(getattr(module, "replaces_embedding", False))


def _rows(rows: Floats, ids: NDArray[np.int64] | None = None, *, precision: Precision) -> Rows:
    """Rows as they will be read in this precision."""
    return Rows(rows, None, ids) if precision == "fp32" else Rows(*quantised(rows), ids)


def _parity(found: Floats, expected: Floats, images: str | None = None) -> Parity:
    found = normalised(found)
    return Parity(
        samples=len(expected),
        cosine=round(float((found * expected).sum(axis=1).min()), 6),
        difference=float(f"{np.abs(found - expected).max():.2g}"),
        images=images,
    )


def _exact(parity: Parity, name: str) -> Parity:
    """The parity of a graph in full precision; it must be the tower's."""
    if not parity.difference <= EXACT:
        raise CheckpointError(
            f"a graph of {name} gives other features than the model: they differ by {parity.difference}",
            hint="update torch, onnxscript and onnxruntime, and export again",
        )
    return parity


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"[:300]
