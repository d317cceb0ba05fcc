"""The training of an English base: its batches, loss and weights, on made-up features of images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

from glotclip.data.emoji import EmojiNames
from glotclip.methods.losses import multi_positive_contrastive
from glotclip.models.text_tower import TextTower
from glotclip.training.base import BaseModule, BaseSettings, EmojiTexts, recommended
from glotclip.training.trainer import Trainer

if TYPE_CHECKING:
    from tests.conftest import MakeBase

NAMES = {
    "a": EmojiNames("red circle", ("red", "round")),
    "b": EmojiNames("blue bar"),
    "c": EmojiNames("black square"),
}
TRUNK = np.random.default_rng(0).standard_normal((6, 5), dtype=np.float32)
ROWS = np.array([[0, 1], [2, 3], [4, 5]])


def texts_of(make_base: MakeBase, **settings: Any) -> EmojiTexts:
    chosen = BaseSettings(**{"batch_size": 3, "lr": 0.01, "checkpoint_seconds": 0, **settings})
    return EmojiTexts(NAMES, list(NAMES), TRUNK, ROWS, make_base().tokenizer, chosen)  # type: ignore[arg-type]


def module_of(make_base: MakeBase, loader: EmojiTexts) -> BaseModule:
    config = make_base().text.config
    torch.manual_seed(0)
    return BaseModule(TextTower(config), nn.Linear(5, config.embed_dim), loader.settings, torch.float32)


def test_a_batch_has_each_concept_once_with_one_of_its_images(make_base: MakeBase) -> None:
    loader = texts_of(make_base, names_share=1.0)
    for step in range(5):
        (batch,) = loader(step)
        assert sorted(batch.targets.groups.tolist()) == [0, 1, 2]
        for row, concept in enumerate(batch.targets.groups.tolist()):
            assert any(np.array_equal(batch.targets.images[row].numpy(), TRUNK[place]) for place in ROWS[concept])
        expected = [NAMES[list(NAMES)[concept]].name for concept in batch.targets.groups.tolist()]
        ids, _ = loader.tokenizer.encode(expected).padded(np.arange(3), loader.tokenizer.pad_id)
        assert np.array_equal(batch.texts[0].ids.numpy(), ids)


def test_features_are_dropped_and_the_others_made_larger(make_base: MakeBase) -> None:
    (plain,), (dropped,) = texts_of(make_base)(2), texts_of(make_base, feature_dropout=0.5)(2)
    assert plain.targets.groups.tolist() == dropped.targets.groups.tolist()
    kept = dropped.targets.images != 0
    assert 0 < int(kept.sum()) < kept.numel()


def test_the_loss_is_clips_and_matrices_alone_decay(make_base: MakeBase) -> None:
    loader = texts_of(make_base)
    module, (batch,) = module_of(make_base, loader), loader(0)
    features = module.encode(batch).features
    loss, terms = module.loss(features, batch.targets)
    images = module.head(batch.targets.images)
    expected = multi_positive_contrastive(features, images, batch.targets.groups, 0.07)
    torch.testing.assert_close(loss, expected)
    assert float(terms["temperature"]) == pytest.approx(0.07)
    matrices, vectors = module.groups()
    assert all(weight.ndim > 1 for weight in matrices.parameters)
    assert not vectors.weight_decay
    assert any(weight is module.temperature for weight in vectors.parameters)


def test_it_learns(make_base: MakeBase) -> None:
    loader = texts_of(make_base)
    lines: list[dict[str, Any]] = []
    Trainer(module_of(make_base, loader), loader, 40, loader.settings, log=lines.append).fit()
    assert lines[-1]["loss"] < 0.5 * lines[0]["loss"]


def test_what_it_recommends_is_for_methods_and_settings_there_are() -> None:
    from glotclip.methods.method import method_named
    from glotclip.training.settings import TrainSettings

    for name, values in recommended().items():
        method = method_named(name)
        assert set(values) <= {*method.setting_names(), *TrainSettings.model_fields}
