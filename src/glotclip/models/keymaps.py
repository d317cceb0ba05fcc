"""How the tensors of other projects' checkpoints are named (``keymaps.toml``), and turned into ours.

A rule says which tensors of the checkpoint make up one of ours, and how: several are joined, rows upon rows (we keep
queries, keys and values in one map); ``turned`` is transposed, ``flat`` made a vector, and ``folded`` is XLM-R's
table of positions: without the rows that no token ever gets, and with the row of the one token type added to all.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch

from glotclip.errors import CheckpointError

# Constants that some versions saved beside the weights.
IGNORED = (".position_ids", "attn_mask", "input_resolution", "context_length", "vocab_size", ".num_batches_tracked")

# What a Multilingual-CLIP checkpoint holds and never uses: the mean is read instead.
MULTILINGUAL_POOLER = ("transformer.pooler.dense.weight", "transformer.pooler.dense.bias")


class Rule(NamedTuple):
    """Our tensor ``ours`` is made of the tensors ``theirs``."""

    ours: str
    theirs: tuple[str, ...]
    how: str = ""


def rules(name: str, layers: Mapping[str, int], *, text: str = "") -> list[Rule]:
    """The rules of a table in ``keymaps.toml``.

    Args:
        name: ``clip``, ``siglip``, ``multilingual``, or ``openai`` with ``matrix`` (W, E), ``linear`` or ``biased``
            for the kind of its text projection.
        layers: blocks of the ``text`` and of the ``vision`` tower.
        text: what the text tower's names begin with in OpenAI's layout.
    """
    table = dict(_tables()[name])
    (family,) = table.pop("extends", (name,))
    named = dict(table if family == name else {**_tables()[family], **table})
    for side, place in _tables()[f"{family} places"].items():
        for k in range(layers[side]):
            for ours, theirs in _tables()[f"{family} blocks"].items():
                how, names = _split(theirs)
                named[f"{side}.blocks.{k}.{ours}"] = " ".join([*how, *(f"{place}{k}.{each}" for each in names)])
    return [rule for ours, theirs in named.items() for rule in _expanded(ours, theirs.replace("{text}", text))]


def _expanded(ours: str, theirs: str) -> Iterator[Rule]:
    """One rule, or one each for weight and bias."""
    how, names = _split(theirs)
    for leaf in ("weight", "bias") if "*" in ours else ("",):
        yield Rule(ours.replace("*", leaf), tuple(name.replace("*", leaf) for name in names), "".join(how))


def _split(theirs: str) -> tuple[list[str], list[str]]:
    words = theirs.split()
    return (words[:1], words[1:]) if words[0] in ("turned", "flat", "folded") else ([], words)


@cache
def _tables() -> dict[str, dict[str, Any]]:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def convert(
    source: Mapping[str, torch.Tensor],
    rules: Iterable[Rule],
    shapes: Mapping[str, torch.Size],
    *,
    where: str,
    also: Iterable[str] = (),
    unused: int = 0,
) -> dict[str, torch.Tensor]:
    """Rename and reshape a checkpoint's tensors to ours, in float32.

    Args:
        source: the checkpoint.
        rules: one for each of our tensors.
        shapes: what each of our tensors must have.
        where: what an error calls the checkpoint.
        also: tensors of the checkpoint that are read elsewhere.
        unused: rows that ``folded`` leaves out at the start.

    Raises:
        CheckpointError: naming every tensor that is missing, of a wrong shape, or unknown.
    """
    result: dict[str, torch.Tensor] = {}
    missing: list[str] = []
    wrong: list[str] = []
    used = set(also)
    for rule in rules:
        used.update(rule.theirs)
        absent = [name for name in rule.theirs if name not in source]
        if absent:
            missing += absent
            continue
        parts = [source[name] for name in rule.theirs]
        tensor = _combine(parts, rule.how, unused)
        if tensor is None or tensor.shape != shapes[rule.ours]:
            got = ", ".join(str(tuple(part.shape)) for part in parts)
            wrong.append(f"{' + '.join(rule.theirs)} is {got}, for {tuple(shapes[rule.ours])}")
            continue
        result[rule.ours] = tensor.to(torch.float32).contiguous()
    unknown = [name for name in source if name not in used and not name.endswith(IGNORED)]
    complaints = [
        f"{title}: {', '.join(names[:8])}{f' and {len(names) - 8} more' if len(names) > 8 else ''}"
        for title, names in (("missing", missing), ("of a wrong shape", wrong), ("unknown", sorted(unknown)))
        if names
    ]
    if complaints:
        raise CheckpointError(
            f"the tensors of {where} do not fit its configuration — {'; '.join(complaints)}",
            hint="the file may be damaged, or belong to another configuration; fetch weights and configuration again",
        )
    return result


def _combine(parts: list[torch.Tensor], how: str, unused: int) -> torch.Tensor | None:
    """Make one tensor of those of a rule; None where shapes forbid it."""
    first, *others = parts
    if how == "turned":
        return first.t() if first.dim() == 2 else None
    if how == "folded":
        return first[unused:].float() + others[0].float() if others[0].shape == (1, *first.shape[1:]) else None
    if how == "flat":
        return first.reshape(-1)
    if not others:
        return first
    return torch.cat(parts) if first.dim() and all(part.shape == first.shape for part in others) else None
