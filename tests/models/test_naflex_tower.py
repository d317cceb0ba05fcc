"""The NaFlex tower: each image at its own length. Parity with transformers is in test_siglip_folders.py."""

from __future__ import annotations

import pytest
import torch

from glotclip.errors import ConfigError
from glotclip.models.naflex_tower import NaflexConfig, NaflexTower
from glotclip.models.vision_tower import ImageTower

CONFIG = NaflexConfig(width=32, layers=2, heads=2, mlp_width=64, patch_size=4, patches=16)
ROWS, DEPTH = 13, 3 * 4 * 4


def rows(height: int, width: int) -> torch.Tensor:
    """A header with the grid, its patches, and zeros."""
    image = torch.zeros(ROWS, DEPTH)
    image[0, :2] = torch.tensor([height, width])
    image[1 : 1 + height * width] = torch.randn(height * width, DEPTH)
    return image


def test_images_do_not_see_one_another_and_filler_is_not_seen() -> None:
    torch.manual_seed(0)
    tower = NaflexTower(CONFIG).eval()
    assert isinstance(tower, ImageTower)
    images = torch.stack([rows(3, 4), rows(1, 7), rows(2, 2)])
    with torch.no_grad():
        features = tower(images)
        alone = torch.cat([tower(images[i : i + 1]) for i in range(3)])
        images[2, 5:] = 7.0
        filled = tower(images)
    assert features.shape == (3, 32)
    torch.testing.assert_close(features, alone, atol=1e-5, rtol=0)
    assert torch.equal(filled, features)


def test_the_same_patches_in_another_grid_are_another_image() -> None:
    tower = NaflexTower(CONFIG).eval()
    wide, high = rows(2, 3), rows(3, 2)
    high[1:] = wide[1:]
    with torch.no_grad():
        first, second = tower(torch.stack([wide, high]))
    assert (first - second).abs().max() > 1e-4


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="reads rows of 48"):
        NaflexTower(CONFIG)(torch.zeros(1, ROWS, 5))
    with pytest.raises(ConfigError, match="heads"):
        NaflexConfig(width=30, heads=4)
    with pytest.raises(ConfigError, match="no square"):
        NaflexConfig(patches=200)
