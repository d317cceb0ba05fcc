"""How new rows of a token table begin: drawn at random, or in closed form from translations.

With pairs of a text and its English, and E the base's table, whose mean row is ē, rows R are sought so that the mean
of a text's rows is the mean of the base's rows of its translation; R₀ are the rows as they are, ē where they are new:

    minimise over R:   Σ_i w_i ‖ mean over text i's tokens of R − mean over its English's tokens of E ‖² + λ ‖R − R₀‖²

The normal equations are sparse, and conjugate gradients with a diagonal preconditioner solve them for all W columns
at once. A token that no text has keeps its row.

Shapes: M pairs, K rows sought, W width, V rows of the base's table.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from glotclip.errors import ConfigError
from glotclip.models.tokens import Tokens, encoded, joined

if TYPE_CHECKING:
    from glotclip.methods.lexicon import LexiconConfig
    from glotclip.methods.task import TrainingTask

InitialRows = Literal["drawn", "mean", "solved"]
_CHUNK = 50_000  # pairs whose English is looked up at once: bounds memory, not the result


@dataclass(frozen=True, eq=False)
class Pairs:
    """Texts and their English, as tokens without special ones.

    Attributes:
        ids: token ids of all texts, one after another; of each, those in ``offsets``.
        offsets: (M + 1,).
        english: the English texts' token ids, likewise.
        english_offsets: (M + 1,).
        weights: of each pair in the sum (M,).
    """

    ids: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    english: npt.NDArray[np.int64]
    english_offsets: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]

    @classmethod
    def of(
        cls,
        texts: Tokens,
        english: Tokens,
        special: frozenset[int],
        weights: npt.NDArray[np.float32],
    ) -> Pairs:
        """Pair texts with their English; pairs of which either side has no token but special ones are left out."""
        ids, offsets = _plain(texts, special)
        theirs, their_offsets = _plain(english, special)
        kept = (np.diff(offsets) > 0) & (np.diff(their_offsets) > 0)
        return cls(*_chosen(ids, offsets, kept), *_chosen(theirs, their_offsets, kept), weights[kept])

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def texts(self, chosen: slice) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The ids of some texts, and where each text starts among them."""
        offsets = self.offsets[chosen.start : chosen.stop + 1]
        return self.ids[offsets[0] : offsets[-1]], offsets[:-1] - offsets[0]

    def chunks(self) -> Iterator[slice]:
        """Slices of pairs."""
        return (slice(start, min(start + _CHUNK, len(self))) for start in range(0, len(self), _CHUNK))


def _plain(tokens: Tokens, special: frozenset[int]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Ids and offsets without special tokens."""
    kept = ~np.isin(tokens.flat, list(special))
    before = np.concatenate([[0], np.cumsum(kept)])
    return tokens.flat[kept].astype(np.int64), before[tokens.offsets]


def _chosen(
    ids: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64], kept: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The ids and offsets of the texts kept."""
    lengths = np.diff(offsets)
    return ids[np.repeat(kept, lengths)], np.concatenate([[0], np.cumsum(lengths[kept])])


def targets(pairs: Pairs, chosen: slice, table: torch.Tensor) -> torch.Tensor:
    """The mean rows of the English texts of some pairs (M, W), relative to the table's mean row."""
    offsets = pairs.english_offsets[chosen.start : chosen.stop + 1]
    ids = torch.from_numpy(pairs.english[offsets[0] : offsets[-1]])
    starts = torch.from_numpy(offsets[:-1] - offsets[0])
    return F.embedding_bag(ids, table, starts, mode="mean") - table.mean(dim=0)


def begun(config: LexiconConfig, task: TrainingTask, full: torch.Tensor, free: npt.NDArray[np.int64]) -> torch.Tensor:
    """Set the rows of a task's table by its texts and their English.

    Args:
        config: which way, and its constants.
        task: texts, tokens, and the English counterparts.
        full: the whole table (size, W): where a row is known, its value; where it is new, the mean row ē.
        free: ids of the tokens whose rows are set, ascending.

    Returns:
        The whole table (size, W).

    Raises:
        ConfigError: if no text has an English counterpart.
    """
    base = task.base
    texts = [text for code in task.english_texts for text in task.texts[code]]
    pairs = Pairs.of(
        joined([task.tokens[code] for code in task.english_texts]),
        joined([encoded(base.tokenizer, [text or "" for text in each]) for each in task.english_texts.values()]),
        base.tokenizer.special_ids | task.tokenizer.special_ids,
        sense_weights(texts),
    )
    if not len(pairs):
        raise ConfigError(
            f"initial_rows={config.initial_rows} needs texts with an English counterpart, and {task.name} has none",
            hint="give data with a column english, or leave the rows to be drawn (initial_rows=drawn)",
        )
    table, start = base.text.table.detach().float().cpu(), full.detach().float().cpu().clone()
    if config.initial_rows == "mean":
        start[torch.from_numpy(free)] = translated_means(pairs, free, table)
    else:
        start[torch.from_numpy(free)] += corrections(
            pairs, free, table, start, ridge=config.solved_ridge, steps=config.solved_steps
        )
    return start.to(full)


def sense_weights(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """1 / √n for each of a text's n pairs: many senses make a text count more, but not as much as they are many."""
    times = Counter(texts)
    return np.array([times[text] ** -0.5 for text in texts], np.float32)


def translated_means(pairs: Pairs, free: npt.NDArray[np.int64], table: torch.Tensor) -> torch.Tensor:
    """Rows of the tokens ``free`` (K, W): of each, the mean of its texts' targets; ē where no text has it."""
    rows, weight = torch.zeros(len(free), table.shape[1]), torch.zeros(len(free))
    for chosen, (_, by_token) in zip(pairs.chunks(), _shares(pairs, free), strict=True):
        root = torch.from_numpy(pairs.weights[chosen]).sqrt()
        rows += by_token @ (root[:, None] * targets(pairs, chosen, table))
        weight += by_token @ root
    return table.mean(dim=0) + rows / weight.clamp(min=1e-12)[:, None]


def corrections(
    pairs: Pairs, free: npt.NDArray[np.int64], table: torch.Tensor, start: torch.Tensor, *, ridge: float, steps: int
) -> torch.Tensor:
    """What has to be added to the rows of the tokens ``free`` (K, W).

    Args:
        pairs: texts and their English.
        free: token ids whose rows are sought, ascending (K,).
        table: the base's table E (V, W), on the processor.
        start: the whole table (size, W) from which rows are corrected, and with which all other tokens count.
        ridge: λ.
        steps: of conjugate gradients.
    """
    shares = _shares(pairs, free)
    right, diagonal = torch.zeros(len(free), table.shape[1]), torch.full((len(free),), ridge)
    gram: torch.Tensor | None = None
    relative = start - table.mean(dim=0)
    for chosen, (by_text, by_token) in zip(pairs.chunks(), shares, strict=True):
        root = torch.from_numpy(pairs.weights[chosen]).sqrt()[:, None]
        right += by_token @ (root * (targets(pairs, chosen, table) - _means(pairs, chosen, relative)))
        diagonal.index_add_(0, by_text.col_indices(), by_text.values() ** 2)

        gram = torch.sparse.mm(by_token, by_text) if gram is None else gram + torch.sparse.mm(by_token, by_text)
    assert gram is not None  # there are pairs
    return _conjugate_gradients(gram, ridge, right, diagonal[:, None], steps)


def _conjugate_gradients(
    gram: torch.Tensor, ridge: float, right: torch.Tensor, diagonal: torch.Tensor, steps: int
) -> torch.Tensor:
    """Solve (gram + λ) X = right (K, W) for each column, gram (K, K) sparse, with a preconditioner (K, 1)."""
    solution, residual = torch.zeros_like(right), right.clone()
    direction = residual / diagonal
    size = (residual * direction).sum(dim=0)
    for _ in range(steps):
        image = gram @ direction + ridge * direction
        rate = size / (direction * image).sum(dim=0).clamp(min=1e-20)
        solution += rate * direction
        residual -= rate * image
        scaled = residual / diagonal
        grown = (residual * scaled).sum(dim=0)
        direction = scaled + (grown / size.clamp(min=1e-20)) * direction
        size = grown
    return solution


def _shares(pairs: Pairs, free: npt.NDArray[np.int64]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """By chunk, √w times the share of each free token in each text, sparse: (M, K), and transposed (K, M)."""
    found = []
    for chosen in pairs.chunks():
        ids, starts = pairs.texts(chosen)
        lengths = np.diff([*starts, len(ids)])
        text = np.repeat(np.arange(len(lengths)), lengths)
        slots = np.searchsorted(free, ids).clip(max=len(free) - 1)
        kept = free[slots] == ids
        shares = (np.sqrt(pairs.weights[chosen]) / lengths)[text[kept]].astype(np.float32)
        entries = torch.from_numpy(np.stack([text[kept], slots[kept]]))
        size = (len(lengths), len(free))
        with warnings.catch_warnings(), torch.sparse.check_sparse_tensor_invariants(enable=False):  # type: ignore[no-untyped-call]
            warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
            by_text = torch.sparse_coo_tensor(entries, torch.from_numpy(shares), size).coalesce()
            found.append((by_text.to_sparse_csr(), by_text.t().coalesce().to_sparse_csr()))
    return found


def _means(pairs: Pairs, chosen: slice, rows: torch.Tensor) -> torch.Tensor:
    """The mean of the rows of each text's tokens (M, W)."""
    ids, starts = pairs.texts(chosen)
    return F.embedding_bag(torch.from_numpy(ids), rows, torch.from_numpy(starts), mode="mean")
