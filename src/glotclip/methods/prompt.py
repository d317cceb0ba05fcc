"""Vectors inserted after a text's first token: trained ones (soft), or the rows of fixed words (hard).

Soft prompts are those of Lester et al. (2021), in PECT's place: after the start token, taking positions as tokens do.

Shapes: P prompt vectors, W width, V rows of the base's table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from glotclip.config import Settings
from glotclip.errors import ConfigError, PackError
from glotclip.methods.module import TextModule, register_method
from glotclip.methods.settings import PECT_WITHOUT_NORMS
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.text_tower import TextConfig

if TYPE_CHECKING:
    from glotclip.methods.settings import ModuleSettings
    from glotclip.methods.task import TrainingTask

STD = 0.02  # of a soft prompt's vectors at the start (the paper)


@register_method("soft-prompt", "trained vectors before every text (PECT)", defaults=PECT_WITHOUT_NORMS)
class SoftPrompt(TextModule):
    """Trained vectors before every text."""

    class Config(Settings):
        """Trained vectors before every text."""

        length: int = Field(4, ge=1, description="number of vectors; not looked at where prompt is given")
        prompt: str = Field("", description="words whose rows are the start: as many vectors as they have tokens")

    stored_settings = ("length",)

    def __init__(self, text: TextConfig, config: Config) -> None:
        super().__init__(text, config)
        check_room(text, config.length)
        self.vectors = nn.Parameter(torch.empty(config.length, text.width))

    @classmethod
    def new(cls, config: Any, task: TrainingTask) -> TextModule:
        """A prompt of as many vectors as the words have tokens, where words are given."""
        if config.prompt:
            config = config.model_copy(update={"length": len(word_ids(task.base, config.prompt))})
        return super().new(config, task)

    def init_weights(self, task: TrainingTask) -> None:
        """Draw the vectors, or take them from the base's table."""
        if self.config.prompt:
            ids = torch.tensor(word_ids(task.base, self.config.prompt))
            self.vectors.copy_(task.base.text.table[ids.to(task.base.device)])
        else:
            self.vectors.normal_(std=STD, generator=task.generator)

    def prompt(self, table: torch.Tensor) -> torch.Tensor:
        """The vectors (P, W)."""
        return self.vectors


@register_method("hard-prompt", "fixed words before every text (PECT)", defaults=PECT_WITHOUT_NORMS)
class HardPrompt(TextModule):
    """Fixed words before every text. Their rows are the base's own, whatever else a pack has learnt.

    Nothing of it trains; the embedding or the norms beside it do.
    """

    class Config(Settings):
        """Fixed words before every text; what trains is the embedding or the norms."""

        # The default is that of the paper's code; which words the paper used is not known.
        prompt: str = Field("Language: ", description="the words")

    stored_settings = ("prompt",)
    ids: torch.Tensor

    def __init__(self, text: TextConfig, config: Config, ids: torch.Tensor) -> None:
        super().__init__(text, config)
        self.register_buffer("ids", ids)

    @classmethod
    def check_settings(cls, config: ModuleSettings) -> None:
        """Something has to train."""
        if config.embedding == "base" and not config.norms:
            raise ValueError("a hard prompt has nothing to train: use embedding=lexicon or norms=true beside it")

    @classmethod
    def new(cls, config: Any, task: TrainingTask) -> TextModule:
        """The words' tokens under the base's tokenizer."""
        ids = word_ids(task.base, config.prompt)
        check_room(task.base.text.config, len(ids))
        return cls(task.base.text.config, config, torch.tensor(ids))

    @classmethod
    def stored_weights(cls, text: TextConfig, config: Any) -> int:
        """None: the words' rows are the base's own."""
        return 0

    def resumed(self, new: TextModule) -> TextModule:
        """The words that the settings name; there is nothing to go on with."""
        return new

    def facts(self) -> dict[str, int]:
        """Nothing trains."""
        return {}

    def prompt(self, table: torch.Tensor) -> torch.Tensor:
        """The words' rows of the base's table (V, W): (P, W)."""
        return F.embedding(self.ids, table)

    def tensors(self) -> dict[str, torch.Tensor]:
        """The ids."""
        return {"ids": self.ids.to(torch.int32)}

    @classmethod
    def restore(
        cls, base: DualEncoder, tensors: Mapping[str, torch.Tensor], description: Mapping[str, Any]
    ) -> HardPrompt:
        """Rebuild the prompt, checking that the ids are the base's for these words."""
        try:
            ids, words = tensors["ids"].long(), str(description["prompt"])
        except KeyError as error:
            raise PackError(f"the {cls.kind} module lacks {error}", hint="get the pack again") from error
        if extra := set(tensors) - {"ids"}:
            raise PackError(f"the {cls.kind} module has unknown tensors: {sorted(extra)}", hint="get the pack again")
        if not len(ids) or ids.tolist() != _tokens(base, words):
            raise PackError(f"{words!r} has other tokens than the {cls.kind} module", hint="get the pack again")
        return cls(base.text.config, cls.Config(prompt=words), ids.to(base.device))


def word_ids(base: DualEncoder, words: str) -> list[int]:
    """Token ids of a prompt under the base's tokenizer, without special ones.

    Raises:
        ConfigError: if there are none.
    """
    if ids := _tokens(base, words):
        return ids
    raise ConfigError(f"the prompt {words!r} has no tokens", hint="write some words")


def _tokens(base: DualEncoder, words: str) -> list[int]:
    return [each for each in base.tokenizer.encode([words])[0].tolist() if each not in base.tokenizer.special_ids]


def check_room(text: TextConfig, length: int) -> None:
    """Raise ConfigError unless a prompt of this length leaves room for a text, its start and its end."""
    if not 0 < length < text.context_length - 2:
        raise ConfigError(
            f"a prompt of {length} vectors in a context of {text.context_length}",
            hint="leave room for the text, its start and its end",
        )
