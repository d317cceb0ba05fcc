"""A polyglot as a library's encoder. The only module of the library that computes with torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from glotclip.data.similarity import normalised
from glotclip.errors import ConfigError
from glotclip.library.encoder import Floats

if TYPE_CHECKING:
    from glotclip.packs.guess import Guess
    from glotclip.packs.polyglot import Polyglot


class TorchEncoder:
    """Encodes with a polyglot; see :class:`glotclip.library.encoder.Encoder`.

    Args:
        polyglot: the model.
        source: how it is found again with all its languages, where that is not the base's source.
        precision: that pictures are encoded in: fp32, bf16, fp16, or auto, which is bf16 where the hardware has
            it.
    """

    def __init__(self, polyglot: Polyglot, source: str | None = None, precision: str = "fp32") -> None:
        from glotclip.models.device import choose_precision

        self.polyglot = polyglot
        self.precision = choose_precision(precision, polyglot.base.device)
        self.name = polyglot.base.name
        self.source = source or polyglot.source
        self.fingerprint = polyglot.base.fingerprint
        self.dim = polyglot.embed_dim
        self.calibration = polyglot.base.calibration

    @property
    def languages(self) -> Sequence[str]:
        """The languages installed now."""
        return self.polyglot.languages

    @property
    def decode_size(self) -> int:
        """Twice what the tower sees: as good as all of a picture."""
        return self.polyglot.base.preprocess.enough

    def preprocess(self, image: Image.Image) -> Floats:
        """Pixels of one picture."""
        return self.polyglot.base.preprocess.load(image)

    def encode_images(self, batch: Sequence[Floats]) -> Floats:
        """Normalised vectors (N, E)."""
        if not len(batch):
            return np.zeros((0, self.dim), np.float32)
        return normalised(self.polyglot.image_features(np.stack(batch), self.precision))

    def encode_texts(self, texts: Sequence[str], langs: Sequence[str]) -> Floats:
        """Normalised vectors (M, E).

        Raises:
            LanguageError: if a language is not installed.
            ConfigError: if it was taught on machine translations, which a library cannot make.
        """
        for lang in dict.fromkeys(langs):
            if self.polyglot.reads_translations(lang):
                raise ConfigError(
                    f"{lang!r} was taught on texts machine-translated into English",
                    hint="translate the query and give it with --lang en",
                )
        encoded: Floats = self.polyglot.encode_text(list(texts), list(langs)).cpu().numpy()
        return encoded

    def guess(self, texts: Sequence[str]) -> list[Guess]:
        """Guess among the languages installed."""
        return self.polyglot.guess(texts)
