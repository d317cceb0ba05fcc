"""Marian, M2M-100 and NLLB-200 folders in Hugging Face's layout, through ``transformers``: the slow reference.

Nothing is fetched. The same models are several times faster once converted for CTranslate2.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from glotclip.errors import CheckpointError, require
from glotclip.storage import read_json
from glotclip.translate.codes import language_tokens
from glotclip.translate.engine import BatchEngine, folder_digest, package_version

BEAM_SIZE = 4
BATCH_SIZE = 32
MAX_TOKENS = 256
KINDS = ("marian", "m2m_100")  # NLLB calls itself m2m_100


class TransformersEngine(BatchEngine):
    """A local translation model, run by ``transformers``, on a GPU if there is one.

    Args:
        folder: the model's folder.
        beam_size: width of the beam search; 1 is greedy.

    Raises:
        CheckpointError: if the folder is no translation model of a kind that is known.
        MissingExtraError: if transformers is not installed.
    """

    name = "transformers"
    chunk = 256

    def __init__(self, folder: Path, *, beam_size: int = BEAM_SIZE) -> None:
        self.folder, self.beam_size = folder, beam_size
        self._lock = threading.Lock()
        if not (folder / "config.json").is_file():
            raise CheckpointError(
                f"{folder} has no config.json", hint="give a model's folder in Hugging Face's layout"
            )
        self.kind = read_json(folder / "config.json").get("model_type")
        if self.kind not in KINDS:
            raise CheckpointError(
                f"{folder} is a {self.kind!r} model", hint=f"kinds that are known: {', '.join(KINDS)} (with NLLB-200)"
            )
        self._library = package_version("transformers", extra="hf")

    @cached_property
    def version(self) -> str:
        """Stands for the library, the folder's files and the search."""
        return f"{self._library}+{folder_digest(self.folder)}+beam{self.beam_size}"

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """Translate in batches of texts of about the same length; one thread at a time.

        The tokenizer keeps the source language, and the way it pads, between two calls.
        """
        with self._lock:
            return self._translated(texts, source, target)

    def _translated(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        import torch

        before, forced = self._begin(source, target)
        asked = [f"{before}{text}" for text in texts]
        answers = [""] * len(texts)
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        for start in range(0, len(order), BATCH_SIZE):
            places = order[start : start + BATCH_SIZE]
            batch = self._tokenizer(
                [asked[place] for place in places], return_tensors="pt", padding=True, truncation=True
            ).to(self._model.device)
            with torch.inference_mode():
                ids = self._model.generate(**batch, **forced, num_beams=self.beam_size, max_new_tokens=self._longest)
            # Every answer begins with the decoder's start and the token forced, which some tokenizers do not skip.
            written = self._tokenizer.batch_decode(ids[:, 1 + len(forced) :], skip_special_tokens=True)
            for place, answer in zip(places, written, strict=True):
                answers[place] = answer
        return answers

    def _begin(self, source: str, target: str) -> tuple[str, dict[str, int]]:
        """Name the languages: return what to put before a text, and the target token to force, if any."""
        before, first = language_tokens(source, target, self._vocabulary)
        if not first:
            return "".join(f"{token} " for token in before), {}
        self._tokenizer.src_lang = before[0].strip("_")  # M2M-100's takes the code without its token's underscores
        return "", {"forced_bos_token_id": self._tokenizer.convert_tokens_to_ids(first[0])}

    @cached_property
    def _tokenizer(self) -> Any:
        return self._loaded("AutoTokenizer")

    @cached_property
    def _model(self) -> Any:
        import torch

        model = self._loaded("AutoModelForSeq2SeqLM")
        return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()

    @cached_property
    def _vocabulary(self) -> set[str]:
        # M2M-100's tokenizer keeps its languages apart from its vocabulary.
        apart = getattr(self._tokenizer, "lang_token_to_id", {})
        return {*self._tokenizer.get_vocab(), *self._tokenizer.all_special_tokens, *apart}

    @property
    def _longest(self) -> int:
        return min(MAX_TOKENS, int(self._model.config.max_position_embeddings) - 1)

    def _loaded(self, kind: str) -> Any:
        library: Any = require("transformers", extra="hf", purpose="translating with transformers")
        try:
            return getattr(library, kind).from_pretrained(str(self.folder), local_files_only=True)
        except (OSError, ValueError, RuntimeError, ImportError, TypeError, AssertionError) as error:
            raise CheckpointError(
                f"transformers cannot load {self.folder} ({str(error).splitlines()[0]})",
                hint="check that weights, config.json and the tokenizer's files are there, whole, and sentencepiece "
                "is installed",
            ) from error
