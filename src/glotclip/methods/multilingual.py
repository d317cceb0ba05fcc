"""A multilingual token table of its own, with a projection into the tower: MLA's non-native embedding (§3.1).

    h_0 = W_p E[x] + b_p + positions

The table comes from a local folder of multilingual BERT, with its WordPiece tokenizer; without one it is learnt, from
the base's rows and a byte-level BPE of the captions, with a projection that starts as the identity.

Shapes: B batch, T tokens, W width of the tower, D width of the table, V rows of the whole table, K rows held.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from glotclip.config import Settings
from glotclip.errors import CheckpointError, PackError
from glotclip.methods import teir
from glotclip.methods.module import ALL, ParameterGroup, TextModule, check_tensors, draw_linear, register_module
from glotclip.models.bpe import learn
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.text_tower import TextConfig
from glotclip.models.tokenizer import ClipTokenizer, HfTokenizer, Tokenizer
from glotclip.models.weights import read_folder

if TYPE_CHECKING:
    from glotclip.methods.task import TrainingTask

_NAMES = ("embeddings.word_embeddings.weight", "bert.embeddings.word_embeddings.weight")


class MultilingualConfig(Settings):
    """The multilingual table of ``embedding=multilingual``."""

    bert: Path | None = Field(
        None, description="folder of a multilingual BERT for embedding=multilingual; without it the table is learnt"
    )
    bert_trains: Literal["all", "projection", "rows"] = Field(
        "all", description="what of that table trains: 'all', the paper; 'projection', its option fix_embed"
    )
    bert_trim: bool = Field(True, description="keep only rows that occurred in captions, not all of BERT's 184 MB")


@register_module("multilingual")
class MultilingualTable(TextModule):
    """Rows of a table that is not the tower's, and their projection into it.

    Args:
        ids: token ids whose rows are held (K,), ascending; any other id reads the row of the first special token.
        rows: their values (K, D).
        projection: (W, D).
        bias: (W,).
        vocab_size: rows of the whole table, V.
    """

    replaces_embedding = True
    ids: torch.Tensor
    slot: torch.Tensor

    def __init__(
        self, ids: torch.Tensor, rows: torch.Tensor, projection: torch.Tensor, bias: torch.Tensor, vocab_size: int
    ) -> None:
        nn.Module.__init__(self)
        self.vocab_size = vocab_size
        self.rows, self.projection, self.bias = (nn.Parameter(each) for each in (rows, projection, bias))
        self.register_buffer("ids", ids)
        slot = torch.zeros(vocab_size, dtype=torch.int64, device=ids.device)
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
        return {"size": self.vocab_size}

    @classmethod
    def restore(
        cls, base: DualEncoder, tensors: Mapping[str, torch.Tensor], description: Mapping[str, Any]
    ) -> MultilingualTable:
        """Rebuild the table, checking that it fits the base."""
        try:
            ids, size = tensors["ids"].long(), int(description["size"])
            K, D = tensors["rows"].shape
        except (KeyError, ValueError) as error:
            raise PackError(f"the {cls.kind} module lacks or misshapes {error}", hint="get the pack again") from error
        W = base.text.config.width
        shapes = {"rows": (len(ids), D), "projection": (W, D), "bias": (W,)}
        others = {name: tensor for name, tensor in tensors.items() if name != "ids"}
        check_tensors(cls.kind, {name: torch.Size(shape) for name, shape in shapes.items()}, others)
        if K and not (int(ids.min()) >= 0 and int(ids.max()) < size):
            raise PackError(f"the {cls.kind} module's ids do not fit {size} rows", hint="get the pack again")
        rows, projection, bias = (others[name].float().to(base.device) for name in ("rows", "projection", "bias"))
        return cls(ids.to(base.device), rows, projection, bias, size).requires_grad_(False)

    @classmethod
    def stored_weights(cls, text: TextConfig, config: Any) -> int:
        """The projection, where the table is learnt; rows come on top."""
        return text.width * text.width + text.width

    @classmethod
    def tokenizer_for(cls, config: Any, task: TrainingTask) -> Tokenizer | None:
        """BERT's WordPiece, or the current tokenizer grown by the task's words."""
        if config.bert is not None:
            file = config.bert / "tokenizer.json"
            return HfTokenizer(file, context_length=task.base.text.config.context_length, pad_id=0)
        current = task.previous_tokenizer
        if not isinstance(current, ClipTokenizer) or not config.vocabulary_size:
            return current
        return current.extended(learn(task.all_texts, config.vocabulary_size))

    @classmethod
    def for_task(cls, config: Any, task: TrainingTask) -> dict[str, TextModule]:
        """Train the rows that occur in the task's captions, and the projection."""
        previous = task.previous_module(cls.kind, ALL)
        assert previous is None or isinstance(previous, MultilingualTable)
        return {ALL: MultilingualSubTable(config, task, previous)}


class MultilingualSubTable(MultilingualTable):
    """The table while it trains: rows that occur in the task's texts, and what :meth:`finished` writes them into.

    Args:
        config: settings of the method.
        task: what is learnt.
        previous: the pack's table so far.
    """

    kind = "multilingual"
    reads: torch.Tensor  # the id whose row an id reads (V,)

    def __init__(self, config: Any, task: TrainingTask, previous: MultilingualTable | None) -> None:
        size, device = task.tokenizer.vocab_size, task.base.device
        rows, projection, bias = _start(config, task, previous, size)
        special = np.array(sorted(task.tokenizer.special_ids))
        occurring = np.unique(np.concatenate([special, *(tokens.flat for tokens in task.seen_tokens)]))
        trained = torch.from_numpy(occurring.astype(np.int64))
        super().__init__(trained.to(device), rows[trained].to(device), projection.to(device), bias.to(device), size)
        self.rows.requires_grad_(config.bert_trains != "projection")
        self.projection.requires_grad_(config.bert_trains != "rows")
        self.bias.requires_grad_(config.bert_trains != "rows")
        self.full, self.held = rows, torch.arange(size)
        if config.bert_trim and config.bert is not None:  # without BERT's folder nobody else has the other rows
            self.held = trained if previous is None else torch.unique(torch.cat([trained, previous.ids.cpu()]))
        reads = torch.full((size,), int(self.held[0]))
        reads[self.held] = self.held
        self.register_buffer("reads", reads.to(device), persistent=False)

    def embed(self, ids: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """Look up ids (B, T) and project: (B, T, W). A text to validate on may have any id."""
        if torch.is_grad_enabled():
            return super().embed(ids, table)
        ids = self.reads[ids]
        trained = (self.ids[self.slot[ids]] == ids)[..., None]
        rows = torch.where(trained, F.embedding(self.slot[ids], self.rows), self.full[ids.cpu()].to(self.rows))
        return F.linear(rows, self.projection, self.bias)

    def parameter_groups(self) -> list[ParameterGroup]:
        """Rows, projection and bias, as far as they train.

        Decay would shrink, step after step, the rows that other languages will need (a fault of the reference).
        """
        groups = [
            ParameterGroup("multilingual_rows", [self.rows], weight_decay=False),
            ParameterGroup("multilingual_projection", [self.projection]),
            ParameterGroup("multilingual_bias", [self.bias], weight_decay=False),
        ]
        return [group for group in groups if group.parameters[0].requires_grad]

    def facts(self) -> dict[str, int]:
        """Rows of the table and trained rows."""
        return {"multilingual_rows": self.vocab_size, "rows_trained": len(self.ids)}

    def finished(self, decay: float) -> MultilingualTable:
        """The table to store, with the trained rows written into it."""
        full, device = self.full.clone(), self.ids.device
        full[self.ids.cpu()] = self.rows.detach().cpu()
        projection, bias = self.projection.detach().clone(), self.bias.detach().clone()
        stored = MultilingualTable(
            self.held.to(device), full[self.held].to(device), projection, bias, self.vocab_size
        )
        return stored.requires_grad_(False)


def _start(
    config: Any, task: TrainingTask, previous: MultilingualTable | None, size: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Rows (V, D), projection (W, D) and bias (W,) before the task, on the processor."""
    table = task.base.text.table.detach().float().cpu()
    W = table.shape[1]
    if config.bert is not None:
        rows = _read_rows(config.bert, size)
        projection, bias = torch.empty(W, rows.shape[1]), torch.empty(W)
        draw_linear(projection, bias, task.generator)
    else:
        known = table if previous is None else torch.zeros(previous.vocab_size, W)
        if previous is not None:
            known[previous.ids.cpu()] = previous.rows.detach().cpu()
        new = teir.identical_distribution(known, size - len(known), task.generator)
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
