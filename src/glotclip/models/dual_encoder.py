"""A base: text tower, image tower, tokenizer and preprocessing, frozen, with one fingerprint.

Shapes: M texts, N images, E embedding.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from glotclip.errors import ConfigError
from glotclip.fingerprint import fingerprint
from glotclip.models.calibration import CONTRASTIVE, Calibration
from glotclip.models.device import Precision, precision_dtype
from glotclip.models.hooks import TextHooks
from glotclip.models.preprocess import Preprocess
from glotclip.models.text_tower import TextTower
from glotclip.models.tokenizer import Tokenizer
from glotclip.models.tokens import Tokens, batch_end
from glotclip.models.vision_tower import ImageTower
from glotclip.textforms import DEFAULT, form_named

# Tokens of one batch: enough to fill the matrix units, few enough that the widest activation stays in the cache.
BATCH_TOKENS_CPU, BATCH_TOKENS_ELSEWHERE = 2048, 65_536
BATCH_IMAGES_CPU, BATCH_IMAGES_ELSEWHERE = 16, 256


def normalised(features: torch.Tensor) -> torch.Tensor:
    """Features (…, E) at length 1, so that their inner products are cosines."""
    return F.normalize(features, dim=-1)


class DualEncoder:
    """A frozen dual encoder. Both towers are put into evaluation mode and take no gradients."""

    def __init__(
        self,
        name: str,
        text: TextTower,
        vision: ImageTower,
        tokenizer: Tokenizer,
        preprocess: Preprocess,
        logit_scale: float,
        logit_bias: float = 0.0,
        recommended: Mapping[str, Mapping[str, Any]] | None = None,
        languages: Sequence[str] = ("en",),
        text_form: str = DEFAULT,
        calibration: Calibration = CONTRASTIVE,
    ) -> None:
        """Check that the parts fit together.

        Args:
            name: what the base is called in manifests and messages.
            text: the text tower.
            vision: the image tower; also an ``nn.Module``.
            tokenizer: of the text tower.
            preprocess: of the image tower.
            logit_scale: factor of the cosine, already exponentiated.
            logit_bias: added to the scaled cosine (SigLIP).
            recommended: settings that suit this base, by the method's name; they change no feature.
            languages: those the base was trained on.
            text_form: the form its own texts are brought to; see :mod:`glotclip.textforms`.
            calibration: what its scores mean; it changes no feature.

        Raises:
            ConfigError: if embedding sizes differ, or the tokenizer has more ids than the table has rows.
        """
        if text.config.embed_dim != vision.embed_dim:
            raise ConfigError(
                f"text features have {text.config.embed_dim} dimensions, image features {vision.embed_dim}",
                hint="use the two towers of one checkpoint, or a text tower made for this image tower",
            )
        if tokenizer.vocab_size > text.config.vocab_size or tokenizer.context_length > text.config.context_length:
            raise ConfigError(
                f"the tokenizer has {tokenizer.vocab_size} ids and {tokenizer.context_length} places, the text tower "
                f"{text.config.vocab_size} rows and {text.config.context_length} positions",
                hint="use the tokenizer files of the same checkpoint",
            )
        self.name = name
        self.text = text.eval().requires_grad_(False)
        self.vision = vision
        self._vision_module.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.preprocess = preprocess
        self.logit_scale = logit_scale
        self.logit_bias = logit_bias
        self.recommended = {method: dict(values) for method, values in (recommended or {}).items()}
        self.languages = tuple(languages)
        self.text_form = form_named(text_form)
        self.calibration = calibration
        self._fingerprint: tuple[object, str] | None = None

    @property
    def _vision_module(self) -> nn.Module:
        return cast(nn.Module, self.vision)

    @property
    def embed_dim(self) -> int:
        """E."""
        return self.text.config.embed_dim

    @property
    def text_weights(self) -> int:
        """Number of the text tower's weights, token table and projection included."""
        return sum(parameter.numel() for parameter in self.text.parameters())

    @property
    def device(self) -> torch.device:
        """Where the towers are."""
        return self.text.table.device

    def to(self, device: torch.device | str) -> DualEncoder:
        """Move both towers, in place."""
        self.text.to(device)
        self._vision_module.to(device)
        return self

    def state(self) -> dict[str, torch.Tensor]:
        """All weights that belong to this base, named ``text.…`` and ``vision.…``."""
        towers = (("text", self.text), ("vision", self._vision_module))
        return {f"{side}.{key}": value for side, tower in towers for key, value in tower.state_dict().items()}

    @property
    def fingerprint(self) -> str:
        """Hash of all weights, geometry, tokenizer and preprocessing; computed once as long as no weight changes."""
        state = self.state()
        key = tuple((name, tensor.data_ptr(), tensor._version) for name, tensor in state.items())
        known = self._fingerprint  # read once: another thread may put a newer one in its place
        if known is None or known[0] != key:
            facts = {
                "text": json.dumps(self.text.config.record(), sort_keys=True),
                "vision": self.vision.identity,
                "tokenizer": self.tokenizer.identity,
                "preprocess": json.dumps(self.preprocess.record(), sort_keys=True),
            }
            known = self._fingerprint = (key, fingerprint(state, **facts))
        return known[1]

    def round_to(self, dtype: torch.dtype) -> DualEncoder:
        """Round all weights to what ``dtype`` can hold (they stay float32), so that they can be saved in it."""
        with torch.no_grad():
            for tensor in self.state().values():
                if tensor.is_floating_point():
                    tensor.copy_(tensor.to(dtype))
        return self

    def encode_tokens(
        self,
        tokens: Tokens,
        hooks: TextHooks | None = None,
        batch_tokens: int | None = None,
        precision: Precision = "fp32",
    ) -> torch.Tensor:
        """Encode texts, longest neighbours together.

        Args:
            tokens: of M texts.
            hooks: what a language adds to the text tower; None is the base itself.
            batch_tokens: tokens computed at once; by default what this device's memory likes best.
            precision: what linear maps and attention compute in.

        Returns:
            Unnormalised features float32 (M, E) on the base's device, in the order of the texts.
        """
        text = self.text if hooks is None else hooks.tower(self.text)
        dtype = precision_dtype(precision)
        budget = batch_tokens or (BATCH_TOKENS_CPU if self.device.type == "cpu" else BATCH_TOKENS_ELSEWHERE)
        features = torch.empty(len(tokens), text.config.embed_dim, device=self.device)
        full = None if text.trims else text.config.context_length
        order = np.argsort(tokens.lengths, kind="stable")
        # Where texts are trimmed padding is never seen, and a language's tokenizer may lack the base's padding id.
        pad_id = self.tokenizer.pad_id if full or not len(tokens.flat) else int(tokens.flat[0])
        lengths = tokens.lengths[order] if full is None else np.full(len(tokens), full)
        start = 0
        with torch.inference_mode():
            while start < len(order):
                stop = batch_end(lengths, start, budget)
                rows = order[start:stop]
                ids, sizes = tokens.padded(rows, pad_id, to=full)
                encoded = text(
                    torch.from_numpy(ids).to(self.device),
                    torch.from_numpy(sizes).to(self.device),
                    hooks,
                    precision=dtype,
                )
                features[torch.from_numpy(rows).to(self.device)] = encoded.float()
                start = stop
        return features

    def encode_pixels(
        self, pixels: NDArray[np.float32] | torch.Tensor, precision: Precision = "fp32"
    ) -> torch.Tensor:
        """Encode preprocessed images float32 (N, 3, H, W) as unnormalised features float32 (N, E)."""
        dtype = precision_dtype(precision)
        batch = BATCH_IMAGES_CPU if self.device.type == "cpu" else BATCH_IMAGES_ELSEWHERE
        source = torch.as_tensor(pixels, dtype=torch.float32)
        features = torch.empty(len(source), self.embed_dim, device=self.device)
        with torch.inference_mode():
            for start in range(0, len(source), batch):
                part = source[start : start + batch].to(self.device)
                features[start : start + batch] = self.vision(part, precision=dtype).float()
        return features
