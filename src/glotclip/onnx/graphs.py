"""The towers as ONNX graphs.

A text graph begins behind the token table: it takes the texts' embedded tokens, so that languages which differ in
rows of the table alone share one graph, and the table stays a file of rows of which only those of a query are read.
What else a language adds acts within its graph; deltas of weights are merged into them first.

Shapes: B texts, T tokens of the longest of them, V rows of a table, W width, E embedding, N images.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional as F

from glotclip.errors import ConfigError, require
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.hooks import BlockHooks, TextHooks
from glotclip.models.naflex_tower import NaflexTower
from glotclip.models.text_tower import TextTower

OPSET = 18
_ROWS = 8192  # of a table, computed at once


class Fed(TextHooks):
    """A language's hooks on tokens that are embedded already: ids are places among the batch's rows.

    Args:
        hooks: of the language.
        rows: the batch's embedded tokens (B · T, W).
        vectors: the language's prompt (P, W), or None.
    """

    def __init__(self, hooks: TextHooks, rows: torch.Tensor, vectors: torch.Tensor | None) -> None:
        super().__init__()
        self.inner, self.rows, self.vectors = hooks, rows, vectors

    def probe(self) -> TextHooks | None:
        """As the language's, on the same rows."""
        found = self.inner.probe()
        return None if found is None else Fed(found, self.rows, self.vectors)

    def condition_on(self, features: torch.Tensor) -> TextHooks:
        """As the language's, on the same rows."""
        return Fed(self.inner.condition_on(features), self.rows, self.vectors)

    def parameter_overrides(self) -> Mapping[str, torch.Tensor]:
        """As the language's."""
        return self.inner.parameter_overrides()

    def embed(self, ids: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """The rows at these places (B, T, W); the table is not used."""
        return F.embedding(ids, self.rows)

    def prompt(self, table: torch.Tensor) -> torch.Tensor | None:
        """The vectors (P, W); the table is not used."""
        return self.vectors

    def block_hooks(self, k: int) -> BlockHooks | None:
        """As the language's."""
        return self.inner.block_hooks(k)

    def after_block(self, k: int, hidden: torch.Tensor) -> torch.Tensor:
        """As the language's."""
        return self.inner.after_block(k, hidden)


class TextGraph(nn.Module):
    """A text tower with a language's hooks, from embedded tokens on."""

    def __init__(self, tower: TextTower, hooks: TextHooks | None) -> None:
        super().__init__()
        self.tower = tower
        self.hooks = TextHooks() if hooks is None else hooks
        vectors = self.hooks.prompt(tower.table)
        self.vectors = None if vectors is None else nn.Parameter(vectors.detach().clone(), requires_grad=False)

    def forward(self, embedded: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Unnormalised features (B, E) of embedded tokens (B, T, W) and lengths (B,)."""
        size, columns, width = embedded.shape
        places = torch.arange(size * columns, device=embedded.device).view(size, columns)
        fed = Fed(self.hooks, embedded.reshape(-1, width), self.vectors)
        result: torch.Tensor = self.tower(places, lengths, fed, precision=torch.float32)
        return result


class ImageGraph(nn.Module):
    """An image tower."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Unnormalised features (N, E) of pixels (N, 3, H, W)."""
        result: torch.Tensor = self.tower(pixels)
        return result


@torch.no_grad()
def table_of(tower: TextTower, hooks: TextHooks | None, size: int) -> torch.Tensor:
    """What a language reads for each of ``size`` token ids (size, W), float32 on the processor."""
    if hooks is None:
        return tower.table.detach().float().cpu()[:size]
    parts = torch.split(torch.arange(size, device=tower.table.device), _ROWS)
    return torch.cat([hooks.embed(part[None], tower.table)[0].float().cpu() for part in parts])


def write_text_graph(base: DualEncoder, hooks: TextHooks | None, path: Path) -> None:
    """Write a language's text graph, ``embedded, lengths → features``, in float32.

    Raises:
        ConfigError: if something of the language cannot be written as a graph.
        MissingExtraError: if the exporter is not installed.
    """
    config = base.text.config
    columns = config.context_length if not base.text.trims else min(8, config.context_length)
    example = (torch.zeros(3, columns, config.width), torch.full((3,), columns - 1, dtype=torch.int64))
    batch = torch.export.Dim("batch", min=1)
    tokens = torch.export.Dim("tokens", min=1, max=config.context_length) if base.text.trims else columns
    dynamic = {"embedded": {0: batch, 1: tokens}, "lengths": {0: batch}}
    _write(TextGraph(base.text, hooks).eval(), example, dynamic, path, ("embedded", "lengths"))


def write_image_graph(base: DualEncoder, path: Path) -> None:
    """Write the image tower's graph, ``pixels → features``, in float32.

    Raises:
        ConfigError: if the tower cannot be written as a graph.
        MissingExtraError: if the exporter is not installed.
    """
    tower = cast(nn.Module, base.vision)
    if isinstance(tower, NaflexTower):
        raise ConfigError(
            f"the image tower of {base.name} reads images of any shape, which no graph of fixed shapes can",
            hint="export a base whose images have one size, such as SigLIP 2 without NaFlex",
        )
    size = base.preprocess.size
    dynamic = {"pixels": {0: torch.export.Dim("batch", min=1)}}
    if hasattr(tower, "trunk") and callable(tower.trunk):
        tower(torch.zeros(1, 3, size, size))  # a trunk that is read when the first image comes
    _write(ImageGraph(tower).eval(), (torch.zeros(3, 3, size, size),), dynamic, path, ("pixels",))


def _write(
    graph: nn.Module, example: tuple[torch.Tensor, ...], dynamic: Any, path: Path, inputs: tuple[str, ...]
) -> None:
    require("onnxscript", extra="export", purpose="exporting to ONNX")
    with _quietly():
        traced = torch.export.export(graph, example, dynamic_shapes=dynamic, strict=False)
        program: Any = torch.onnx.export(
            traced, dynamo=True, opset_version=OPSET, input_names=list(inputs), output_names=["features"],
            verbose=False, optimize=True,
        )  # fmt: skip
        program.save(path, external_data=False)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the exporter's notes on what it does: to whoever exports a model they mean nothing."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [each.level for each in loggers]
    try:
        for each in loggers:
            each.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)
