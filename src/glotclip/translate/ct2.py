"""CTranslate2 with SentencePiece: converted OPUS-MT, M2M-100 and NLLB-200 folders, and unpacked Argos packages.

A converted folder needs the model's SentencePiece files beside ``model.bin``; the converter brings them along::

    ct2-transformers-converter --model DIR --output_dir OUT --quantization int8 --copy_files source.spm target.spm

(``sentencepiece.bpe.model`` for M2M-100 and NLLB). Each text is translated as one sentence.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from glotclip.errors import CheckpointError, DataError, require
from glotclip.languages import normalise
from glotclip.storage import read_json
from glotclip.translate.codes import language_tokens
from glotclip.translate.engine import BatchEngine, Pair, folder_digest, package_version, pivots, through

BEAM_SIZE = 4
#: How many times the beam's number of answers must be complete before the search ends (arXiv 2204.05424). At 1, a few
#: short bad answers end it before a long good one is complete.
PATIENCE = 2.0
#: OPUS-MT models have 512 positions, and a longer text is an error to them. Pieces beyond are cut off.
MAX_PIECES, MAX_ANSWER = 500, 256
MAX_BATCH = 32
_END = "</s>"
_SPECIAL = {"<unk>", "<s>", _END, "<pad>"}


class CTranslate2Engine(BatchEngine):
    """A local folder for CTranslate2: one converted model, one Argos package, or a folder of Argos packages.

    Argos packages know their languages, and several are chained where none goes directly. A bilingual OPUS-MT
    folder does not: that it is used for its own pair is the caller's to see to.

    Args:
        folder: the folder.
        beam_size: width of the beam search; 1 is greedy.

    Raises:
        CheckpointError: if the folder holds none of these.
        MissingExtraError: if ctranslate2 is not installed.
    """

    name = "ctranslate2"

    def __init__(self, folder: Path, *, beam_size: int = BEAM_SIZE) -> None:
        self.folder, self.beam_size = folder, beam_size
        self._packages = _argos_packages(folder)
        if not self._packages and not (folder / "model.bin").is_file():
            raise CheckpointError(
                f"{folder} is no model for CTranslate2: it has neither model.bin nor Argos packages (metadata.json)",
                hint="convert a model with ct2-transformers-converter, or unpack an .argosmodel file",
            )
        self._models: dict[Path, _Model] = {}
        self._lock = threading.Lock()
        self._library = package_version("ctranslate2", extra="mt")

    @cached_property
    def version(self) -> str:
        """Stands for the library, the folder's files and the search."""
        return f"{self._library}+{folder_digest(self.folder)}+beam{self.beam_size}x{PATIENCE:g}"

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """Translate with the model, or with each of the chain of packages."""
        if not self._packages:
            return self._model(self.folder).translate(texts, source, target, self.beam_size)
        hint = "unpack an Argos package of that pair into the folder"
        answers = list(texts)
        for pair in pivots(list(self._packages), source, target, engine=str(self.folder), hint=hint):
            model = self._model(self._packages[pair])
            step = partial(model.translate, source=pair[0], target=pair[1], beam_size=self.beam_size)
            answers = through(answers, step)
        return answers

    def _model(self, folder: Path) -> _Model:
        with self._lock:  # threads that ask for it at once load it once
            if folder not in self._models:
                self._models[folder] = _open(folder)
            return self._models[folder]


@dataclass(frozen=True)
class _Model:
    """A loaded model.

    Attributes:
        translator: CTranslate2's.
        source: splits texts into pieces.
        target: joins pieces into texts.
        vocabulary: the source tokens, which name the languages; None for an Argos package, which is of one pair.
        first: what every answer of an Argos package begins with.
        end: what every source ends with.
    """

    translator: Any
    source: Any
    target: Any
    vocabulary: set[str] | None
    first: tuple[str, ...] = ()
    end: tuple[str, ...] = ()

    def translate(self, texts: Sequence[str], source: str, target: str, beam_size: int) -> list[str]:
        """Translate texts; an answer may be empty."""
        before, prefix = list[str](), list(self.first)
        if self.vocabulary is not None:
            before, prefix = language_tokens(source, target, self.vocabulary)
        pieces = [some[:MAX_PIECES] for some in self.source.encode(list(texts), out_type=str)]
        try:
            results = self.translator.translate_batch(
                [[*before, *some, *self.end] for some in pieces],
                target_prefix=[prefix] * len(texts) if prefix else None,
                beam_size=beam_size,
                patience=PATIENCE,
                max_batch_size=MAX_BATCH,
                max_decoding_length=MAX_ANSWER,
            )
        except RuntimeError as error:  # no memory, or a text too long for the model
            raise DataError(
                f"CTranslate2 failed: {error}", hint="leave out very long texts, or free memory"
            ) from error
        return [self._text(result.hypotheses[0][len(prefix) :]) for result in results]

    def _text(self, tokens: Sequence[str]) -> str:
        return str(self.target.decode([token for token in tokens if token not in _SPECIAL]))


def _argos_packages(folder: Path) -> dict[Pair, Path]:
    """Find unpacked Argos packages: the folder itself, or those in it."""
    if not folder.is_dir():
        return {}
    packages: dict[Pair, Path] = {}
    for metadata in [folder / "metadata.json", *sorted(folder.glob("*/metadata.json"))]:
        if not metadata.is_file():
            continue
        facts = read_json(metadata)
        if isinstance(facts, dict) and {"from_code", "to_code"} <= set(facts):
            packages[normalise(facts["from_code"]), normalise(facts["to_code"])] = metadata.parent
    return packages


def _open(folder: Path) -> _Model:
    """Load a model and find out which kind it is, by the files and the tokens it has."""
    if (folder / "metadata.json").is_file():
        return _open_argos(folder)
    vocabulary = _vocabulary(folder)
    config = read_json(folder / "config.json") if (folder / "config.json").is_file() else {}
    end = () if config.get("add_source_eos") else (_END,)
    translator = _translator(folder)
    both = folder / "sentencepiece.bpe.model"
    multilingual = "eng_Latn" in vocabulary or "__en__" in vocabulary
    source, target = (both, both) if multilingual else (folder / "source.spm", folder / "target.spm")
    return _Model(translator, _pieces(source), _pieces(target), vocabulary, end=end)


def _open_argos(folder: Path) -> _Model:
    """Load an Argos package: no end of sentence in the source, perhaps a first token of the target."""
    prefix = read_json(folder / "metadata.json").get("target_prefix") or ""
    if not (folder / "sentencepiece.model").is_file() and (folder / "bpe.model").is_file():
        raise CheckpointError(
            f"the Argos package {folder} uses Moses tokens with BPE, which is not supported",
            hint="take a package with a sentencepiece.model, or use Argos Translate through command:PROGRAM",
        )
    pieces = _pieces(folder / "sentencepiece.model")
    return _Model(_translator(folder / "model"), pieces, pieces, None, (prefix,) if prefix else ())


def _translator(folder: Path) -> Any:
    library: Any = require("ctranslate2", extra="mt", purpose="translating with CTranslate2")
    try:
        return library.Translator(str(folder), device="auto", compute_type="default")  # as it was converted
    except (RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"CTranslate2 cannot load {folder} ({error})", hint="convert the model anew, or unpack the package anew"
        ) from error


def _pieces(path: Path) -> Any:
    library: Any = require("sentencepiece", extra="mt", purpose="splitting texts for CTranslate2")
    if not path.is_file():
        raise CheckpointError(
            f"{path.parent} lacks {path.name}",
            hint=f"copy {path.name} from the original model (converter option --copy_files)",
        )
    try:
        return library.SentencePieceProcessor(model_file=str(path))
    except (RuntimeError, OSError) as error:
        raise CheckpointError(f"{path} is no SentencePiece model ({error})", hint="copy it anew") from error


def _vocabulary(folder: Path) -> set[str]:
    """Return the source tokens of a converted model; old converters wrote text, new ones JSON."""
    for name in ("shared_vocabulary", "source_vocabulary"):
        if (folder / f"{name}.json").is_file():
            return set(read_json(folder / f"{name}.json"))
        if (folder / f"{name}.txt").is_file():
            lines = (folder / f"{name}.txt").read_text(encoding="utf-8").split("\n")
            # Converters of some versions wrote the tokens of this file in JSON's quotation marks.
            return {json.loads(line) if line[:1] == line[-1:] == '"' and len(line) > 1 else line for line in lines}
    raise CheckpointError(f"{folder} has no vocabulary file", hint="convert the model anew")
