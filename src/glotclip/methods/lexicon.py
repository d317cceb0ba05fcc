"""The expandable lexicon: new rows of the token table for a language, and updates of the rows it shares.

CLL-CLIP (Yang et al., AAAI 2024) with TEIR. Only rows that can change are trained: a compact sub-table of
the token ids that occur in the language's captions stands in for the whole table, and is written back. That
is not an approximation. A row whose token does not occur has zero gradient, hence zero Adam moments and no
update; what remains is weight decay, which is a known product and is applied at the end where it applies.

Shapes: B batch, T tokens, W width, V rows of the base's table, K rows of the sub-table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import nn
from torch.nn import functional as F

from glotclip.errors import ConfigError, PackError
from glotclip.methods import initial_rows, teir
from glotclip.methods.initial_rows import InitialRows
from glotclip.methods.module import ALL, ParameterGroup, TextModule, register_method
from glotclip.methods.objective import MethodSettings
from glotclip.models.bpe import learn
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.own_tokenizer import OwnTokenizer
from glotclip.models.text_tower import TextConfig
from glotclip.models.tokenizer import ClipTokenizer, Tokenizer
from glotclip.models.tokens import Tokens

if TYPE_CHECKING:
    from glotclip.methods.task import TrainingTask

BESIDE_THE_BASE, OWN_VOCABULARY = 10_000, 40_000  # the paper's; what docs/methods.md measures


class LexiconConfig(MethodSettings):
    """CLL-CLIP: rows of the token table, with TEIR's three pieces."""

    vocabulary: Annotated[int, Field(ge=0)] | Literal["auto"] = Field(
        "auto",
        description="size of the byte-level BPE learnt per task; 0 adds no tokens; 'auto': 10,000 beside the base's "
        "(CLL-CLIP), and up to 40,000 of a language's own, as many as its texts have pieces twice",
    )
    own_vocabulary: bool = Field(
        False,
        description="per-language only: a language's texts fall into tokens of its own and none of the base's, whose "
        "vocabulary may then be of any kind",
    )
    initial_rows: InitialRows = Field(
        "drawn",
        description="how rows begin: 'drawn' at random; 'solved' by least squares, so that the mean of a text's rows "
        "is that of the base's rows of its English; 'mean' of the English texts that a token occurs beside",
    )
    solved_ridge: float = Field(0.1, gt=0, description="solved: the penalty λ on a row's distance from the mean row")
    solved_steps: int = Field(10, ge=1, description="solved: steps of conjugate gradients")
    splitting: Literal["clip", "marks"] = Field(
        "marks", description="'marks' keeps combining marks with their letters; 'clip' splits at them, as CLIP does"
    )
    teir_init: bool = Field(True, description="draw new rows from the distribution of the table's entries")
    teir_gradient: bool = Field(
        True, description="shared only: divide a row's gradient by the number of languages that use it"
    )
    teir_decay: bool = Field(True, description="divide a row's weight decay likewise, and spare rows not in use")
    teir_damps: Literal["gradient", "rate"] = Field(
        "gradient",
        description="what teir_gradient divides: 'gradient', the paper's, which Adam undoes down to ε; "
        "'rate', the row's learning rate, which holds whatever the scale",
    )
    teir_strength: float = Field(
        1.0,
        gt=0,
        description="weight s of an earlier use of a row in its factor 1 / (1 + s·(uses − 1)); 1: the paper",
    )
    init_std: float = Field(0.02, ge=0, description="standard deviation of new rows without teir_init")

    @property
    def covers_base(self) -> bool:
        """One table for all languages, the base's own among them."""
        return True

    @property
    def reads_english(self) -> bool:
        """Also where rows begin with what the base makes of the English."""
        return self.initial_rows != "drawn" or super().reads_english

    @property
    def vocabulary_size(self) -> int:
        """The size of the BPE that is learnt, at most."""
        if self.vocabulary == "auto":
            return OWN_VOCABULARY if self.own_vocabulary else BESIDE_THE_BASE
        return self.vocabulary

    @model_validator(mode="after")
    def _own(self) -> LexiconConfig:
        if self.own_vocabulary and self.isolation == "shared":
            raise ValueError(
                "a shared table has one vocabulary, so own_vocabulary=true needs isolation=per-language; where the "
                "base recommends it: own_vocabulary=false vocabulary=0"
            )
        return self


@register_method("lexicon", "rows of the token table, new and old (CLL-CLIP, TEIR)")
class Lexicon(TextModule):
    """Rows that replace or extend the base's token table.

    Args:
        ids: token ids whose rows are held here (K,), ascending.
        rows: their values (K, W).
        size: rows of the whole table, base and additions together.
        uses: TEIR's counters n_j (size,), or None where no later language builds on this lexicon.
    """

    Config = LexiconConfig
    replaces_embedding = True
    slot: torch.Tensor
    ids: torch.Tensor

    def __init__(self, ids: torch.Tensor, rows: torch.Tensor, size: int, uses: torch.Tensor | None = None) -> None:
        nn.Module.__init__(self)
        self.vocab_size = size
        self.uses = uses
        self.rows = nn.Parameter(rows)
        self.register_buffer("ids", ids)
        slot = torch.full((size,), -1, dtype=torch.int64, device=ids.device)
        slot[ids] = torch.arange(len(ids), device=ids.device)
        self.register_buffer("slot", slot, persistent=False)

    def embed(self, ids: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """Look up (B, T) ids among the held rows, and in the base's table (V, W) where a row is not held."""
        slots = self.slot[ids]
        own = F.embedding(slots.clamp(min=0), self.rows)
        theirs = F.embedding(ids.clamp(max=len(table) - 1), table).to(own.dtype)
        return torch.where((slots >= 0)[..., None], own, theirs)

    def full_table(self, table: torch.Tensor) -> torch.Tensor:
        """The whole table (size, W) as this lexicon sees it; rows it does not hold are the base's."""
        full = table.new_zeros((self.vocab_size, table.shape[1]))
        full[: len(table)] = table
        full[self.ids] = self.rows.detach().to(full.dtype)
        return full

    def tensors(self) -> dict[str, torch.Tensor]:
        """Ids, rows and, where kept, the counters."""
        stored = {"ids": self.ids.to(torch.int32), "rows": self.rows.detach()}
        return stored if self.uses is None else {**stored, "uses": self.uses}

    def description(self) -> dict[str, Any]:
        """The size of the whole table."""
        return {"size": self.vocab_size}

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
        return cls(ids.to(device), rows.float().to(device), size, uses).requires_grad_(False)

    @classmethod
    def stored_weights(cls, text: TextConfig, config: Any) -> int:
        """Its weights are rows of the token table, as many as the captions need."""
        return 0

    @classmethod
    def tokenizer_for(cls, config: Any, task: TrainingTask) -> Tokenizer | None:
        """The current tokenizer with the task's own byte-level BPE merged in (CLL-CLIP §1.3)."""
        current = task.previous_tokenizer
        if config.vocabulary_size == 0 or isinstance(current, OwnTokenizer):  # whose language goes on learning
            return current
        if config.own_vocabulary:
            texts = dict.fromkeys(task.all_texts)  # a dictionary's word comes once for each sense
            vocabulary = learn(texts, config.vocabulary_size, config.splitting, minimum=2)
            return OwnTokenizer(current, vocabulary, len(task.base.text.table))
        if not isinstance(current, ClipTokenizer):
            raise ConfigError(
                f"{task.base.name} does not use byte-level BPE, so no tokens can be added to its vocabulary",
                hint="give the language a vocabulary of its own, own_vocabulary=true, or set vocabulary=0 to train "
                "the rows that the base has",
            )
        return current.extended(learn(task.all_texts, config.vocabulary_size, config.splitting))

    @classmethod
    def for_task(cls, config: Any, task: TrainingTask) -> dict[str, TextModule]:
        """Grow the table, and set up the sub-table of rows that can change."""
        previous = task.previous_module(cls.kind, ALL)
        assert previous is None or isinstance(previous, Lexicon)
        return {ALL: SubTable(config, task, previous)}


class SubTable(Lexicon):
    """The lexicon while it trains: the rows that can change, and what :meth:`finished` needs to write them back.

    Args:
        config: vocabulary, initialisation and TEIR.
        task: what is learnt.
        previous: the pack's lexicon so far.
    """

    kind = "lexicon"

    def __init__(self, config: LexiconConfig, task: TrainingTask, previous: Lexicon | None) -> None:
        table = task.base.text.table.detach()
        full = previous.full_table(table) if previous else table
        known = len(full)
        size = max(task.tokenizer.vocab_size, known)  # a base's table may have rows that its tokenizer never uses
        draw = (
            teir.identical_distribution(full, size - known, task.generator)
            if config.teir_init
            else teir.fixed_normal(full, size - known, config.init_std, task.generator)
        )
        full = torch.cat([full, draw])
        special = torch.tensor(sorted(task.tokenizer.special_ids))
        present = occurring(task.seen_tokens, special)
        if config.initial_rows != "drawn":
            full[known:] = table.mean(dim=0)
            first = known if previous is not None or config.isolation == "shared" else 0
            if len(free := present[present >= first]):
                full = initial_rows.begun(config, task, full, free.numpy())
        uses = teir.first_uses(len(table), size)
        if previous is not None and previous.uses is not None:
            uses[: len(previous.uses)] = previous.uses
        rows = [present, special]
        if not config.teir_decay and self.kind in task.anchored_rows:
            # A penalty and plain decay pull such a row two ways at every step, so decay's product would not do.
            rows.append(task.anchored_rows[self.kind])
        trained = torch.unique(torch.cat(rows))
        super().__init__(trained.to(full.device), full[trained.to(full.device)].clone(), size)
        self.lexicon_config, self.full, self.counts = config, full, uses
        self.damping = teir.damping(uses, present, special, config.teir_strength)[trained]
        self.held = [trained, torch.arange(known, size), *([] if previous is None else [previous.ids.cpu()])]
        self.users = _users(task, special)
        self._facts = {
            "new_tokens": size - known,
            "rows_trained": len(trained),
            "rows_shared_with_the_base": int((present < len(table)).sum()),
        }

    def embed(self, ids: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """Look up (B, T) ids; every id of the task's own texts is held here, which spares the second lookup."""
        slots = self.slot[ids]
        if torch.is_grad_enabled():
            return F.embedding(slots, self.rows)
        own = F.embedding(slots.clamp(min=0), self.rows)  # a text to validate on may have any token
        return torch.where((slots >= 0)[..., None], own, F.embedding(ids, self.full))

    def parameter_groups(self) -> list[ParameterGroup]:
        """The rows, with TEIR's factors (CLL-CLIP §3.2)."""
        config, undamped = self.lexicon_config, torch.ones(len(self.damping))
        # Damping protects what others use. A table of one language's own protects nobody.
        shared = config.isolation == "shared"
        damped = self.damping if config.teir_gradient and shared else undamped
        by_rate = config.teir_damps == "rate"
        return [
            ParameterGroup(
                self.kind,
                [self.rows],
                gradient_scale=undamped if by_rate else damped,
                rate_scale=damped if by_rate else None,
                decay_scale=self.damping if config.teir_decay and shared else undamped,
            )
        ]

    def facts(self) -> dict[str, int]:
        """New tokens and trained rows."""
        return self._facts

    def finished(self, decay: float) -> Lexicon:
        """The lexicon to store: trained rows, new ones, and those that were held before."""
        shared = self.lexicon_config.isolation == "shared"
        # A new token may be missing from the captions, where longer merges swallow it, and still occur later.
        held = torch.unique(torch.cat(self.held))
        full = self.full.clone()  # training may go on, as it does for an estimate
        if shared and not self.lexicon_config.teir_decay:
            # Plain AdamW decays every row of the one table at every step.
            full.mul_(decay)
            held = torch.arange(self.vocab_size)
        full[self.ids] = self.rows.detach()
        held = held.to(full.device)
        counted = self.counts.clone()
        for each in self.users:
            counted[each] += 1
        stored = Lexicon(held, full[held].clone(), self.vocab_size, counted if shared else None)
        return stored.requires_grad_(False)


def _users(task: TrainingTask, special: torch.Tensor) -> list[torch.Tensor]:
    """Whom ids count for: the task once, and each replayed language again (CLL-CLIP §5, "With TEIR")."""
    again = [tokens for code, tokens in task.replay_tokens.items() if code not in task.tokens]
    own = [tokens for code, tokens in task.replay_tokens.items() if code in task.tokens]
    learnt = occurring([*task.tokens.values(), *task.target_tokens.values(), *own], special)
    return [learnt, *(occurring([tokens], special) for tokens in again)]


def occurring(texts: Sequence[Tokens], special: torch.Tensor) -> torch.Tensor:
    """Ids that occur in tokenised texts, without special tokens, ascending."""
    ids = np.unique(np.concatenate([tokens.flat for tokens in texts]))
    return torch.from_numpy(np.setdiff1d(ids, special.numpy()).astype(np.int64))
