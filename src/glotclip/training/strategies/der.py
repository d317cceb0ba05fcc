"""Dark experience replay: captions are seen again, and held to what the student made of them when they came by.

CLL-CLIP §5.4, after Buzzega et al. 2020. In the paper's 13,000 steps a task most captions come by when the student
has long learnt the language. In fifty steps most come by before, and later tasks would be held to a beginner's
features: ``der_features=learnt`` encodes the captions of a task anew when it ends.
"""

from __future__ import annotations

from typing import ClassVar

import torch

from glotclip.methods.objective import Targets
from glotclip.methods.task import TrainingTask
from glotclip.training.lesson_source import TaskModule
from glotclip.training.strategies.rehearsal import Rehearsal


class DarkExperienceReplay(Rehearsal):
    """Samples are held to the student's own raw features, as their step or their whole task made them."""

    name: ClassVar[str] = "der"

    def held(self, features: torch.Tensor, targets: Targets, row: int) -> torch.Tensor | None:
        """The student's feature (E,)."""
        return features[row]

    def learnt(self, task: TrainingTask, learner: TaskModule, batches: object) -> None:
        """Encode the task's captions in the memory by the final weights, in float32, where the settings say so."""
        super().learnt(task, learner, batches)
        samples = self.memory.samples
        for code in task.languages if self.settings.der_features == "learnt" else ():
            slots = [slot for slot, sample in enumerate(samples) if sample.language == code]
            tokens = task.tokenizer.encode([samples[slot].text for slot in slots])
            features = learner.base.encode_tokens(tokens, task.stacks[code]).cpu()
            for slot, row in zip(slots, features, strict=True):
                samples[slot] = samples[slot]._replace(held=row.clone())
