"""The training module of a task: its modules in the frozen text tower, under the objective of one stage.

Shapes: B batch, T tokens, E embedding.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional as F

from glotclip.methods.module import ParameterGroup
from glotclip.methods.objective import Alignment, ObjectiveSettings, Targets
from glotclip.methods.task import TrainingTask
from glotclip.models.device import DTYPES
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.hooks import TextHooks
from glotclip.training.dropout import seeded, with_dropout
from glotclip.training.module import Batch, Encoded, LanguageBatch, TrainingModule
from glotclip.training.settings import ContinualSettings
from glotclip.training.strategies.strategy import Strategy
from glotclip.training.task_data import cat_padded


class TaskModule(TrainingModule):
    """Trains a task's modules.

    Args:
        base: the frozen dual encoder.
        task: what trains.
        objective: the losses of the stage.
        precision: what the tower computes in.
        strategy: against forgetting; it may add to the loss, and sees every step.
    """

    def __init__(
        self,
        base: DualEncoder,
        task: TrainingTask,
        objective: ObjectiveSettings,
        precision: str,
        strategy: Strategy | None = None,
    ) -> None:
        self.base, self.task, self.dtype, self.settings = base, task, DTYPES[precision], objective
        self.strategy = strategy or Strategy(ContinualSettings())
        self.alignment = Alignment(objective).to(base.device)
        modules = [module for stack in task.stacks.values() for module in stack.text_modules]
        self._modules = list({id(module): module for module in modules}.values())  # a shared one is in every stack

    def groups(self) -> Sequence[ParameterGroup]:
        """The task's weights and the temperature, which is never decayed."""
        return [*self.task.groups, ParameterGroup("temperature", [self.alignment.temperature], weight_decay=False)]

    def encode(self, batch: Batch) -> Encoded:
        """Raw text features (B, E), with gradients; target texts by the same stack where the objective says so."""
        features, targets = [], []
        with seeded(batch.dropout, self.base.device):
            start = 0
            for each in batch.texts:
                hooks = with_dropout(self.task.stacks[each.language], batch.dropout)
                own, target = self._encoded(each, hooks)
                features.append(own)
                rows = slice(start, start + len(own))
                targets.append(batch.targets.target_features[rows] if target is None else target)
                start = rows.stop
        encoded = any(each.target is not None for each in batch.texts)
        return Encoded(_cat(features), _cat(targets) if encoded else None)

    def _encoded(self, texts: LanguageBatch, hooks: TextHooks) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Features (B, E) of texts, and of their target texts where these are given."""
        ids, lengths, count = texts.ids, texts.lengths, len(texts.ids)
        if texts.target is None:
            return self._features(ids, lengths, hooks), None
        if self.settings.target_encoder == "trained":  # a single pass costs less than two
            joined = cat_padded([ids, texts.target[0]], self.task.tokenizer.pad_id)
            both = self._features(joined, torch.cat([lengths, texts.target[1]]), hooks)
            return both[:count], both[count:]
        features = self._features(ids, lengths, hooks)
        with torch.no_grad():
            return features, self._features(*texts.target, hooks)

    def _features(self, ids: torch.Tensor, lengths: torch.Tensor, hooks: TextHooks) -> torch.Tensor:
        text = hooks.tower(self.base.text)
        if not text.trims:  # the tower attends to padding, so every text gets all of it
            pad_id = self.task.tokenizer.pad_id
            ids = F.pad(ids, (0, text.config.context_length - ids.shape[1]), value=pad_id)
        features: torch.Tensor = text(ids, lengths, hooks, precision=self.dtype)
        return features

    def loss(self, features: torch.Tensor, targets: Targets) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The objective of the global batch, the modules' own losses on this process's share, and the strategy's."""
        loss, terms = self.alignment(features, targets)
        for module in self._modules:
            if (auxiliary := module.auxiliary_loss()) is not None:
                loss = loss + auxiliary
                terms[module.kind] = auxiliary.detach()
        for name, (weight, term) in self.strategy.extra_loss().items():
            loss = loss + weight * term
            terms[name] = term.detach()
        return loss, terms

    def on_step_end(self, batches: Sequence[Batch], features: Sequence[torch.Tensor]) -> None:
        """Let the strategy look at the step."""
        self.strategy.on_step_end(batches, features)

    def on_best(self) -> None:
        """Let the strategy keep what belongs to these weights."""
        self.strategy.on_best()

    def state_dict(self) -> dict[str, torch.Tensor]:
        """The strategy's."""
        return self.strategy.state_dict()

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Restore the strategy's."""
        self.strategy.load_state_dict(state)


def _cat(features: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.cat(list(features)) if len(features) > 1 else features[0]
