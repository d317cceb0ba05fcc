"""What a task minimises: which text is aligned with what, by which loss, how strongly.

The three systems differ here in a few choices only:

=============  ==================  ============  ==========  ===============  =============
system         text                target text   encoded by  alignment        images
=============  ==================  ============  ==========  ===============  =============
CLL-CLIP       caption             English       frozen      MSE              weight 0.01
MLA, 1st stage caption             English       frozen      MSE              none
MLA, 2nd stage caption             –             –           –                alone
PECT           caption or machine  English or    trained     MSE or           weight 1
               English             machine                   contrastive
=============  ==================  ============  ==========  ===============  =============

Shapes: B batch, E embedding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import nn

from glotclip.config import Settings
from glotclip.methods.losses import cross_lingual_mse, multi_positive_contrastive
from glotclip.textforms import Folds, Forms

TEMPERATURE_RANGE = (0.001, 0.5)  # CLL-CLIP §2.3: clamped in place before every use

Text = Literal["caption", "to-english"]
TargetText = Literal["english", "from-english"]


class ObjectiveSettings(Settings):
    """The losses of a task, or of one of its stages."""

    text: Text = Field(
        "caption",
        description="which text is learnt, validated and tested: 'caption', the caption itself; 'to-english', its "
        "machine translation into English (a translation engine is then needed to ask)",
    )
    target_text: TargetText = Field(
        "english",
        description="which text it is aligned with: 'english', its English counterpart; 'from-english', the machine "
        "translation of that into the language",
    )
    target_encoder: Literal["frozen", "detached", "trained"] = Field(
        "frozen",
        description="who encodes the target text: 'frozen', the base; 'trained', the tower that trains, with "
        "gradients on both sides; 'detached', the same without a gradient on the target's side",
    )
    alignment: Literal["mse", "contrastive", "with-image"] = Field(
        "mse",
        description="how the two are aligned: 'mse' of raw features; 'contrastive' between the texts; 'with-image', "
        "contrastive between the target text and the image (target_encoder=trained only)",
    )
    cross_lingual: float = Field(1.0, ge=0, description="weight of the alignment with the target text (γ_cl, λ)")
    cross_modal: float = Field(0.01, ge=0, description="weight of the contrastive loss with images (γ_cm)")
    temperature: float = Field(0.07, gt=0, le=0.5, description="initial temperature of the contrastive losses")
    learn_temperature: bool = Field(True, description="whether the temperature trains")

    @model_validator(mode="after")
    def _consistent(self) -> ObjectiveSettings:
        if self.cross_lingual == 0 and self.cross_modal == 0:
            raise ValueError("cross_lingual and cross_modal are both 0: nothing would be learnt")
        if self.cross_lingual and self.alignment == "with-image" and self.target_encoder != "trained":
            raise ValueError("alignment=with-image moves the target only, so it needs target_encoder=trained")
        return self

    @property
    def wants_images(self) -> bool:
        """Whether any term looks at images."""
        return self.cross_modal > 0 or (self.cross_lingual > 0 and self.alignment == "with-image")

    @property
    def encodes_targets(self) -> bool:
        """Whether target texts are encoded anew in every step."""
        return self.cross_lingual > 0 and self.target_encoder != "frozen"


Isolation = Literal["shared", "per-language"]
Learns = Literal["captions", "english", "both"]


class MethodSettings(ObjectiveSettings):
    """Settings every method has: who shares weights, and (inherited) which losses pull."""

    isolation: Isolation = Field(
        "per-language",
        description="'shared': all languages change the same weights (the papers' setting, forgets); "
        "'per-language': a language cannot touch any other",
    )
    text_form: Forms = Field(
        "unicode-1",
        description="the form captions are learnt and queries asked in (docs/text.md); 'none': as they are written",
    )
    fold: Folds = Field(
        "none",
        description="scripts that are folded into one besides: 'simplified' for Chinese, 'latin' for Serbian, Uzbek, "
        "Azerbaijani and Turkmen; 'all': either, where it concerns the language",
    )
    store: Literal["fp32", "fp16", "int8", "pq"] = Field(
        "fp32",
        description="how a pack stores weights: as they are; in halves; tables of rows in 8 bits with a scale a row; "
        "or by product quantisation, in row_bytes bytes a row (docs/methods.md has the curve)",
    )
    row_bytes: int = Field(48, ge=1, le=255, description="store=pq: bytes of a row of a table")
    glossary: int = Field(
        0,
        ge=0,
        description="entries of the data, short texts with their English, that a pack keeps at most, the shortest "
        "first: queries of a few of them are read as their English as well",
    )

    @property
    def covers_base(self) -> bool:
        """Whether the base's own languages use a shared pack's modules as well."""
        return False

    @property
    def reads_english(self) -> bool:
        """Whether English counterparts are wanted as texts: for a glossary, or because modules begin with them."""
        return self.glossary > 0

    @property
    def learnt_texts(self) -> Learns:
        """Which texts are read while a language is learnt: its captions, their English counterparts, or both."""
        return "captions"

    @property
    def beside(self) -> tuple[str, ...]:
        """The modules beside the method's own, by name."""
        return ()

    def lr_scale(self, kind: str) -> float:
        """The learning rate of a module's weights, as a multiple of ``lr``."""
        return 1.0

    def freezes(self, kind: str) -> bool:
        """Whether a shared module stays as it is once a pack's first task is learnt."""
        return False


@dataclass(frozen=True)
class Targets:
    """What a batch of captions is aligned with.

    ``target_features`` and ``images`` are raw features (B, E); where a row has no target or no image, ``has_target``
    or ``has_image`` (B,) is false and the row's feature is zero. ``groups`` (B,) is equal for rows that show the same
    image. Rows marked in ``replayed`` (B,) are replayed from earlier tasks: their loss is the distance to their
    target, where they have one.
    """

    target_features: torch.Tensor
    images: torch.Tensor
    has_target: torch.Tensor
    has_image: torch.Tensor
    groups: torch.Tensor
    replayed: torch.Tensor | None = None


class Alignment(nn.Module):
    """``cross_lingual · L_align + cross_modal · L_cm`` (CLL-CLIP, equation 4; PECT §2), plus the replay term.

    A term whose weight is zero is not computed: with ``cross_modal = 0`` no image is ever needed. The replay term,
    ``MSE(z, kept)`` over replayed rows with weight one, is there whenever rows are (CLL-CLIP §5.3, §5.4).
    """

    def __init__(self, settings: ObjectiveSettings) -> None:
        super().__init__()
        self.settings = settings
        contrasts = settings.cross_modal > 0 or (settings.cross_lingual > 0 and settings.alignment != "mse")
        self.temperature = nn.Parameter(
            torch.tensor(float(settings.temperature)), requires_grad=settings.learn_temperature and contrasts
        )

    def forward(self, features: torch.Tensor, targets: Targets) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the loss and its unweighted parts for the features (B, E) of a whole (global) batch."""
        settings = self.settings
        with torch.no_grad():
            self.temperature.clamp_(*TEMPERATURE_RANGE)
        loss = features.new_zeros(())
        parts: dict[str, torch.Tensor] = {}
        current = targets.has_target if targets.replayed is None else targets.has_target & ~targets.replayed
        if settings.cross_lingual and bool(current.any()):
            parts["cross_lingual"] = self._aligned(features, targets, current)
            loss = loss + settings.cross_lingual * parts["cross_lingual"]
        if settings.cross_modal and bool(targets.has_image.any()):
            parts["cross_modal"] = self._contrast(features, targets.images, targets.groups, targets.has_image)
            loss = loss + settings.cross_modal * parts["cross_modal"]
        held = None if targets.replayed is None else targets.replayed & targets.has_target
        if held is not None and bool(held.any()):
            parts["replay"] = cross_lingual_mse(features[held], targets.target_features[held])
            loss = loss + parts["replay"]
        return loss, {name: value.detach() for name, value in parts.items()}

    def _aligned(self, features: torch.Tensor, targets: Targets, rows: torch.Tensor) -> torch.Tensor:
        if self.settings.alignment == "mse":
            return cross_lingual_mse(features[rows], targets.target_features[rows])
        if self.settings.alignment == "contrastive":
            return self._contrast(features, targets.target_features, targets.groups, rows)
        return self._contrast(targets.target_features, targets.images, targets.groups, rows & targets.has_image)

    def _contrast(
        self, one: torch.Tensor, other: torch.Tensor, groups: torch.Tensor, rows: torch.Tensor
    ) -> torch.Tensor:
        return multi_positive_contrastive(one[rows], other[rows], groups[rows], self.temperature)
