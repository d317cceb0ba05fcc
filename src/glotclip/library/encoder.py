"""What a library needs of a model: pictures and texts as vectors of one space. Nothing here loads torch.

Shapes: N images, M texts, E = ``dim``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from glotclip.models.calibration import Calibration

Floats = npt.NDArray[np.float32]


class LanguageGuess(Protocol):
    """In which language a text is; :class:`glotclip.packs.guess.Guess` is one."""

    @property
    def lang(self) -> str:
        """The most probable language."""
        ...

    @property
    def probabilities(self) -> Mapping[str, float]:
        """Of all candidates, the most probable first."""
        ...

    @property
    def sure(self) -> bool:
        """Whether :attr:`lang` can be relied on."""
        ...

    @property
    def plausible(self) -> dict[str, float]:
        """The languages to fuse rankings of, and the weight of each; the weights add up to 1."""
        ...


class Preprocessor(Protocol):
    """What decoding a picture needs of a model.

    Attributes:
        decode_size: pictures need not be decoded with a shorter side of more pixels than this.
    """

    @property
    def decode_size(self) -> int: ...  # noqa: D102

    def preprocess(self, image: Image.Image) -> Floats:
        """Make a picture (upright, RGB) what the image tower takes; called from several threads at once."""
        ...


class Encoder(Preprocessor, Protocol):
    """A model that encodes pictures and texts; threads may share one.

    Attributes:
        name: what a user calls the model.
        source: how it is found again: a built-in name, a hub id, a path.
        fingerprint: equal exactly where all image vectors are equal: vectors are kept under it.
        dim: width of the vectors, E.
        languages: codes that texts may be in.
        calibration: what its scores mean.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 -- see the class
    @property
    def source(self) -> str: ...  # noqa: D102
    @property
    def fingerprint(self) -> str: ...  # noqa: D102
    @property
    def dim(self) -> int: ...  # noqa: D102
    @property
    def languages(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def calibration(self) -> Calibration: ...  # noqa: D102

    def encode_images(self, batch: Sequence[Floats]) -> Floats:
        """Encode preprocessed pictures as normalised vectors float32 (N, E)."""
        ...

    def encode_texts(self, texts: Sequence[str], langs: Sequence[str]) -> Floats:
        """Encode texts, each in its language, as normalised vectors float32 (M, E).

        Raises:
            LanguageError: if a language is not installed.
        """
        ...

    def guess(self, texts: Sequence[str]) -> Sequence[LanguageGuess]:
        """Guess the language of each text among :attr:`languages`."""
        ...
