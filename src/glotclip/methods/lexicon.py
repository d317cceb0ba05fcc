"""The expandable lexicon: new rows of the token table for a language, and updates of the rows it shares.

CLL-CLIP (Yang et al., AAAI 2024) with TEIR. Only rows that can change are trained: a compact sub-table of
the token ids that occur in the language's captions stands in for the whole table, and is written back. That
is not an approximation. A row whose token does not occur has zero gradient, hence zero Adam moments and no
update; what remains is weight decay, which is a known product and is applied at the end where it applies.

Shapes: B batch, T tokens, W width, V rows of the base's table, K rows of the sub-table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from glotclip.errors import ConfigError, PackError
from glotclip.methods import teir
from glotclip.methods.stack import ALL, PackState, TextModule
from glotclip.methods.task import Context, Contribution, ParameterGroup, Task
from glotclip.models.bpe import learn
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.tokenizer import ClipTokenizer, Tokenizer
from glotclip.models.tokens import Tokens


class Lexicon(TextModule):
    """Rows that replace or extend the base's token table.

    Args:
        ids: token ids whose rows are held here (K,), ascending.
        rows: their values (K, W).
        size: rows of the whole table, base and additions together.
        uses: TEIR's counters n_j (size,), or None where no later language builds on this lexicon.
    """

    kind: ClassVar[str] = "lexicon"
    replaces_embedding: ClassVar[bool] = True
    slot: torch.Tensor
    ids: torch.Tensor

    def __init__(
        self,
        ids: torch.Tensor,
        rows: torch.Tensor,
        size: int,
        uses: torch.Tensor | None = None,
        *,
        closed: bool = False,
    ) -> None:
        super().__init__()
        self.size = size
        self.uses = uses
        self.closed = closed  # every id that will be looked up is held here: spares the second lookup
        self.rows = nn.Parameter(rows)
        self.register_buffer("ids", ids)
        slot = torch.full((size,), -1, dtype=torch.int64, device=ids.device)
        slot[ids] = torch.arange(len(ids), device=ids.device)
        self.register_buffer("slot", slot, persistent=False)

    def embed(self, ids: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """Look up (B, T) ids among the held rows, and in the base's table (V, W) where a row is not held."""
        slots = self.slot[ids]
        if self.closed:
            return F.embedding(slots, self.rows)
        held = slots >= 0
        own = F.embedding(slots.clamp(min=0), self.rows)
        return torch.where(held[..., None], own, F.embedding(ids.clamp(max=len(table) - 1), table).to(own.dtype))

    def full_table(self, table: torch.Tensor) -> torch.Tensor:
        """The whole table (size, W) as this lexicon sees it; rows it does not hold are the base's."""
        full = table.new_zeros((self.size, table.shape[1]))
        full[: len(table)] = table
        full[self.ids] = self.rows.detach().to(full.dtype)
        return full

    def tensors(self) -> dict[str, torch.Tensor]:
        """Ids, rows and, where kept, the counters."""
        stored = {"ids": self.ids.to(torch.int32), "rows": self.rows.detach()}
        if self.uses is not None:
            stored["uses"] = self.uses
        return stored

    def description(self) -> dict[str, Any]:
        """The size of the whole table."""
        return {"size": self.size}

    @classmethod
    def restore(
        cls, base: DualEncoder, tensors: Mapping[str, torch.Tensor], description: Mapping[str, Any]
    ) -> Lexicon:
        """Rebuild a lexicon, checking that it fits the base."""
        V, W = base.text.table.shape
        if extra := set(tensors) - {"ids", "rows", "uses"}:
            raise PackError(f"the lexicon has unknown tensors: {sorted(extra)}", hint="get the pack again")
        try:
            ids, rows, size = tensors["ids"].long(), tensors["rows"], int(description["size"])
        except KeyError as error:
            raise PackError(f"the lexicon lacks {error}", hint="get the pack again") from error
        uses = tensors.get("uses")
        fits = rows.shape == (len(ids), W) and size >= V and (uses is None or uses.shape == (size,))
        if not fits or (len(ids) and not (int(ids.min()) >= 0 and int(ids.max()) < size)):
            raise PackError(
                f"the lexicon's tensors do not fit: {len(ids)} ids, rows {tuple(rows.shape)}, table {size} × {W}",
                hint="get the pack again",
            )
        device = base.text.table.device
        return cls(ids.to(device), rows.float().to(device), size, uses)


Splitting = Literal["clip", "marks"]
Damps = Literal["gradient", "rate"]


@dataclass(frozen=True)
class LexiconIngredient:
    """How a method grows and trains the lexicon.

    Args:
        shared: whether later languages build on this table (the paper's one table), or it stays one language's.
        vocabulary: size of the byte-level BPE learnt on each task's captions; 0 adds no tokens.
        splitting: "clip" is CLIP's word splitting, "marks" keeps combining marks with their letters.
        teir_init, teir_gradient, teir_decay: TEIR's three pieces.
        teir_damps: what ``teir_gradient`` damps: the gradient (the paper) or the row's learning rate.
        teir_strength: how much each earlier use of a row weighs; 1 is the paper's.
        init_std: standard deviation of new rows without ``teir_init``.
    """

    shared: bool
    vocabulary: int
    splitting: Splitting
    teir_init: bool
    teir_gradient: bool
    teir_decay: bool
    teir_damps: Damps
    teir_strength: float
    init_std: float

    def tokenizer(self, base: DualEncoder, state: PackState | None, task: Task) -> Tokenizer | None:
        """The current tokenizer with the task's own byte-level BPE merged in (CLL-CLIP §1.3)."""
        current = state.tokenizer if state else base.tokenizer
        if self.vocabulary == 0:
            return current
        if not isinstance(current, ClipTokenizer):
            raise ConfigError(
                f"{base.name} does not use byte-level BPE, so no tokens can be added to its vocabulary",
                hint="set vocabulary=0 to train the rows it has",
            )
        texts = [text for language in task.texts.values() for text in language]
        return current.extended(learn(texts, self.vocabulary, self.splitting))

    def contribute(self, context: Context) -> Contribution:
        """Grow the table, and set up the sub-table of rows that can change."""
        table = context.base.text.table.detach()
        V = len(table)
        previous = context.state.part(Lexicon.kind, ALL) if context.state else None
        assert previous is None or isinstance(previous, Lexicon)
        full = previous.full_table(table) if previous else table
        known = len(full)
        size = max(context.tokenizer.vocab_size, known)  # a base's table may have rows that its tokenizer never uses
        draw = (
            teir.identical_distribution(full, size - known, context.generator)
            if self.teir_init
            else teir.fixed_normal(full, size - known, self.init_std, context.generator)
        )
        full = torch.cat([full, draw])

        special = torch.tensor(sorted(context.tokenizer.special_ids))
        present = self._present(context, special)
        uses = teir.first_uses(V, size)
        if previous is not None and previous.uses is not None:
            uses[: len(previous.uses)] = previous.uses
        factors = teir.damping(uses, present, special, self.teir_strength)
        rows = [present, special]
        if not self.teir_decay and Lexicon.kind in context.task.anchored:
            # A penalty and plain decay pull such a row two ways at every step, so decay's product would not do.
            rows.append(context.task.anchored[Lexicon.kind])
        trained = torch.unique(torch.cat(rows))
        undamped = torch.ones(len(trained))
        damped = factors[trained] if self.teir_gradient else undamped
        working = Lexicon(trained.to(full.device), full[trained.to(full.device)].clone(), size, closed=True)
        group = ParameterGroup(
            "lexicon",
            [working.rows],
            gradient_scale=damped if self.teir_damps == "gradient" else undamped,
            rate_scale=damped if self.teir_damps == "rate" else None,
            decay_scale=factors[trained] if self.teir_decay else undamped,
        )

        def finish(decay: float) -> Mapping[str, TextModule]:
            # A new token may be missing from the captions, where longer merges swallow it, and still occur later.
            held = torch.cat([trained, torch.arange(known, size)])
            if previous is not None:
                held = torch.cat([held, previous.ids.cpu()])
            if self.shared and not self.teir_decay:  # plain AdamW decays every row of the one table at every step
                full.mul_(decay)
                held = torch.arange(size)
            full[working.ids] = working.rows.detach()
            held = torch.unique(held).to(full.device)
            counted = uses.clone()
            for each in self._users(context, special):
                counted[each] += 1
            return {ALL: Lexicon(held, full[held].clone(), size, counted if self.shared else None)}

        facts = {
            "new_tokens": size - known,
            "rows_trained": len(trained),
            "rows_shared_with_the_base": int((present < V).sum()),
        }
        return Contribution({ALL: working}, [group], finish, facts)

    @staticmethod
    def _present(context: Context, special: torch.Tensor) -> torch.Tensor:
        """X_t: ids that occur in what is seen while the task is learnt, without special tokens, ascending."""
        return _occurring(context.seen, special)

    @staticmethod
    def _users(context: Context, special: torch.Tensor) -> list[torch.Tensor]:
        """Whom ids count for: the task once, and each rehearsed language again (CLL-CLIP §5, "With TEIR")."""
        again = {code: tokens for code, tokens in context.rehearsed.items() if code not in context.tokens}
        own = [tokens for code, tokens in context.rehearsed.items() if code in context.tokens]
        task = _occurring([*context.tokens.values(), *context.target_texts.values(), *own], special)
        return [task, *(_occurring([tokens], special) for tokens in again.values())]


def _occurring(texts: Sequence[Tokens], special: torch.Tensor) -> torch.Tensor:
    """Ids that occur in tokenised texts, without special tokens, ascending."""
    occurring = np.unique(np.concatenate([tokens.flat for tokens in texts]))
    return torch.from_numpy(np.setdiff1d(occurring, special.numpy()).astype(np.int64))
