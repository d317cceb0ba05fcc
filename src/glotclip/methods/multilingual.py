"""A multilingual token table of its own, with a projection into the tower: MLA's non-native embedding (§3.1).

    h_0 = W_p E[x] + b_p + positions

The table comes from a local folder of multilingual BERT, with its WordPiece tokenizer; without one it is learnt, from
the base's rows and a byte-level BPE of the captions, with a projection that starts as the identity.

Shapes: B batch, T tokens, W width of the tower, D width of the table, V rows of the whole table, K rows held.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from glotclip.errors import CheckpointError, PackError
from glotclip.methods import teir
from glotclip.methods.module import check_tensors, draw_linear
from glotclip.methods.stack import ALL, PackState, TextModule
from glotclip.methods.task import Context, Contribution, Ingredient, ParameterGroup, Task
from glotclip.models.bpe import learn
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.tokenizer import ClipTokenizer, HfTokenizer, Tokenizer
from glotclip.models.weights import read_folder

_NAMES = ("embeddings.word_embeddings.weight", "bert.embeddings.word_embeddings.weight")


class MultilingualTable(TextModule):
    """Rows of a table that is not the tower's, and their way into it.

    Args:
        ids: token ids whose rows are held (K,), ascending; any other id reads the row of the first special token.
        rows: their values (K, D).
        projection: (W, D).
        bias: (W,).
        size: rows of the whole table, V.
    """

    kind: ClassVar[str] = "multilingual"
    replaces_embedding: ClassVar[bool] = True
    ids: torch.Tensor
    slot: torch.Tensor

    def __init__(
        self, ids: torch.Tensor, rows: torch.Tensor, projection: torch.Tensor, bias: torch.Tensor, size: int
    ) -> None:
        super().__init__()
        self.size = size
        self.rows, self.projection, self.bias = (nn.Parameter(each) for each in (rows, projection, bias))
        self.register_buffer("ids", ids)
        slot = torch.zeros(size, dtype=torch.int64, device=ids.device)
        slot[ids] = torch.arange(len(ids), device=ids.device)
        self.register_buffer("slot", slot, persistent=False)

    def embed(self, ids: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """Look up ids (B, T) and project: (B, T, W). The tower's own table is not used."""
        return F.linear(F.embedding(self.slot[ids], self.rows), self.projection, self.bias)

    def tensors(self) -> dict[str, torch.Tensor]:
        """Ids, rows, projection and bias."""
        return {
            "ids": self.ids.to(torch.int32),
            "rows": self.rows.detach(),
            "projection": self.projection.detach(),
            "bias": self.bias.detach(),
        }

    def description(self) -> dict[str, Any]:
        """The size of the whole table."""
        return {"size": self.size}

    @classmethod
    def restore(
        cls, base: DualEncoder, tensors: Mapping[str, torch.Tensor], description: Mapping[str, Any]
    ) -> MultilingualTable:
        """Rebuild the table, checking that it fits the base."""
        try:
            ids, size = tensors["ids"].long(), int(description["size"])
            K, D = tensors["rows"].shape
        except (KeyError, ValueError) as error:
            raise PackError(f"the {cls.kind} part lacks or misshapes {error}", hint="get the pack again") from error
        W = base.text.config.width
        shapes = {"rows": (len(ids), D), "projection": (W, D), "bias": (W,)}
        others = {name: tensor for name, tensor in tensors.items() if name != "ids"}
        check_tensors(cls.kind, {name: torch.Size(shape) for name, shape in shapes.items()}, others)
        if K and not (int(ids.min()) >= 0 and int(ids.max()) < size):
            raise PackError(f"the {cls.kind} part's ids do not fit {size} rows", hint="get the pack again")
        rows, projection, bias = (others[name].float().to(base.device) for name in ("rows", "projection", "bias"))
        return cls(ids.to(base.device), rows, projection, bias, size).requires_grad_(False)


@dataclass(frozen=True)
class MultilingualIngredient:
    """How a method uses a multilingual table.

    Args:
        folder: of a multilingual BERT (``tokenizer.json`` and the weights); None learns the table.
        vocabulary: without a folder, the size of the byte-level BPE learnt on a task's captions.
        trains: which of its weights train: "all" (the paper), "projection" (its option ``fix_embed``), or "rows".
        trim: keep only rows that occurred in some task's captions; the whole of BERT's table is 184 MB in fp16.
    """

    folder: Path | None
    vocabulary: int
    trains: str
    trim: bool

    def tokenizer(self, base: DualEncoder, state: PackState | None, task: Task) -> Tokenizer | None:
        """BERT's WordPiece, or the current tokenizer grown by the task's words."""
        if self.folder is not None:
            file = self.folder / "tokenizer.json"
            return HfTokenizer(file, context_length=base.text.config.context_length, pad_id=0)
        current = state.tokenizer if state else base.tokenizer
        if not isinstance(current, ClipTokenizer) or not self.vocabulary:
            return current
        return current.extended(learn([text for texts in task.texts.values() for text in texts], self.vocabulary))

    def contribute(self, context: Context) -> Contribution:
        """Train the rows that occur in the task's captions, and the projection."""
        previous = context.state.part(MultilingualTable.kind, ALL) if context.state else None
        assert previous is None or isinstance(previous, MultilingualTable)
        size = context.tokenizer.vocab_size
        rows, projection, bias = self._start(context, previous, size)
        special = np.array(sorted(context.tokenizer.special_ids))
        occurring = np.unique(np.concatenate([special, *(tokens.flat for tokens in context.seen)]))
        trained = torch.from_numpy(occurring.astype(np.int64))
        device = context.base.device
        working = MultilingualTable(
            trained.to(device), rows[trained].to(device), projection.to(device), bias.to(device), size
        )
        working.rows.requires_grad_(self.trains != "projection")
        working.projection.requires_grad_(self.trains != "rows")
        working.bias.requires_grad_(self.trains != "rows")
        # Decay would shrink, step after step, the rows that other languages will need (a fault of the reference).
        groups = [
            ParameterGroup("multilingual_rows", [working.rows], weight_decay=False),
            ParameterGroup("multilingual_projection", [working.projection]),
            ParameterGroup("multilingual_bias", [working.bias], weight_decay=False),
        ]

        def finish(decay: float) -> Mapping[str, TextModule]:
            full = rows.clone()
            full[trained] = working.rows.detach().cpu()
            held = torch.arange(size)
            if self.trim and self.folder is not None:  # without BERT's folder nobody else has the other rows
                held = trained if previous is None else torch.unique(torch.cat([trained, previous.ids.cpu()]))
            kept = MultilingualTable(
                held.to(device),
                full[held].to(device),
                working.projection.detach().clone(),
                working.bias.detach().clone(),
                size,
            )
            return {ALL: kept.requires_grad_(False)}

        return Contribution(
            {ALL: working},
            [group for group in groups if any(p.requires_grad for p in group.parameters)],
            finish,
            {"multilingual_rows": size, "rows_trained": len(trained)},
        )

    def _start(
        self, context: Context, previous: MultilingualTable | None, size: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Rows (V, D), projection (W, D) and bias (W,) before the task, on the processor."""
        table = context.base.text.table.detach().float().cpu()
        W = table.shape[1]
        if self.folder is not None:
            rows = _read_rows(self.folder, size)
            projection, bias = torch.empty(W, rows.shape[1]), torch.empty(W)
            draw_linear(projection, bias, context.generator)
        else:
            known = table if previous is None else torch.zeros(previous.size, W)
            if previous is not None:
                known[previous.ids.cpu()] = previous.rows.detach().cpu()
            new = teir.identical_distribution(known, size - len(known), context.generator)
            rows, projection, bias = torch.cat([known, new]), torch.eye(W), torch.zeros(W)
        if previous is not None:
            rows[previous.ids.cpu()] = previous.rows.detach().cpu()
            projection, bias = previous.projection.detach().cpu().clone(), previous.bias.detach().cpu().clone()
        return rows, projection, bias


def _read_rows(folder: Path, size: int) -> torch.Tensor:
    """BERT's word embeddings (V, D), without its positions and norms."""
    weights = read_folder(folder, "model")
    found = next((weights[name] for name in _NAMES if name in weights), None)
    if found is None or len(found) < size:
        said = "no word embeddings" if found is None else f"{len(found)} rows for a vocabulary of {size}"
        raise CheckpointError(f"{folder} has {said}", hint="name a folder of bert-base-multilingual-cased")
    return found[:size].float().clone()


@dataclass(frozen=True)
class FirstTaskOnly:
    """An ingredient whose shared part trains in a pack's first task and stays as it is in all later ones.

    What is learnt later can then change nothing that an earlier language uses.
    """

    inner: Ingredient
    kind: str

    def tokenizer(self, base: DualEncoder, state: PackState | None, task: Task) -> Tokenizer | None:
        """The pack's, once there is a shared part: a new token would split earlier languages' words anew."""
        if state is not None and state.part(self.kind, ALL) is not None:
            return state.tokenizer
        return self.inner.tokenizer(base, state, task)

    def contribute(self, context: Context) -> Contribution:
        """Let the inner ingredient train, or hand on what there is."""
        part = context.state.part(self.kind, ALL) if context.state else None
        if part is None:
            return self.inner.contribute(context)
        return Contribution({ALL: part}, [], lambda decay: {ALL: part})
