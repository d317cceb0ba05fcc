from __future__ import annotations

import pytest
import torch

from glotclip.errors import ConfigError
from glotclip.models.classifier_tower import ClassifierConfig, ClassifierTower
from glotclip.models.vision_tower import ImageTower


@pytest.fixture(scope="module")
def tower() -> ClassifierTower:
    torch.manual_seed(0)
    made = ClassifierTower(ClassifierConfig(classes=5, embed_dim=8)).eval()
    made.table.copy_(torch.randn(5, 8))
    return made


def test_a_feature_is_the_classes_features_weighted_by_their_probabilities(tower: ClassifierTower) -> None:
    pixels = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        features, shares = tower(pixels), tower.probabilities(pixels)
        pooled, _ = tower.trunk(pixels)
    assert isinstance(tower, ImageTower)
    torch.testing.assert_close(shares.sum(1), torch.ones(2))
    for n in range(2):
        scores = [(tower.classifier.weight[c] @ pooled[n] + tower.classifier.bias[c]).item() for c in range(5)]
        weights = torch.tensor(scores).exp() / torch.tensor(scores).exp().sum()
        written_out = sum((weights[c] * tower.table[c] for c in range(5)), torch.zeros(8))
        torch.testing.assert_close(features[n], written_out, atol=1e-5, rtol=0)


def test_a_certain_class_gives_its_row(tower: ClassifierTower) -> None:
    with torch.no_grad():
        bias = tower.classifier.bias.clone()
        tower.classifier.bias[3] += 1e4
        features = tower(torch.randn(1, 3, 64, 64))
        tower.classifier.bias.copy_(bias)
    torch.testing.assert_close(features[0], tower.table[3])


def test_all_that_decides_a_feature_is_named() -> None:
    state = ClassifierTower(ClassifierConfig(classes=5, embed_dim=8)).state_dict()
    assert {"table", "classifier.weight", "classifier.bias"} <= set(state)
    identities = {
        ClassifierTower(ClassifierConfig(size, 5, width)).identity for size in ("lite0", "lite2") for width in (8, 16)
    }
    assert len(identities) == 4
    with pytest.raises(ConfigError, match="lite9"):
        ClassifierConfig("lite9")
