from __future__ import annotations

import pytest
import torch

from glotclip.errors import ConfigError
from glotclip.models.vision_tower import ImageTower, VisionConfig, VisionTransformer

CLIP = VisionConfig(width=32, layers=2, heads=2, mlp_width=64, image_size=32, patch_size=8, embed_dim=24)
SIGLIP = VisionConfig(
    width=32, layers=2, heads=2, mlp_width=64, image_size=32, patch_size=8, embed_dim=32, activation="gelu_tanh",
    pooling="attention",
)  # fmt: skip


@pytest.mark.parametrize("config", [CLIP, SIGLIP])
def test_images_do_not_see_one_another(config: VisionConfig) -> None:
    tower = VisionTransformer(config).eval()
    assert isinstance(tower, ImageTower)
    pixels = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        batch = tower(pixels)
        alone = torch.cat([tower(pixels[i : i + 1]) for i in range(3)])
        low = tower(pixels, precision=torch.bfloat16)
    assert batch.shape == (3, config.embed_dim)
    torch.testing.assert_close(batch, alone, atol=1e-5, rtol=0)
    assert torch.cosine_similarity(batch, low).min() > 0.99


def test_pixels_of_another_size_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"\(3, 32, 32\)"):
        VisionTransformer(CLIP)(torch.zeros(1, 3, 64, 64))


def test_geometry_is_checked() -> None:
    with pytest.raises(ConfigError, match="heads"):
        VisionConfig(width=30, heads=4)
    with pytest.raises(ConfigError, match="projection"):
        VisionConfig(pooling="attention", embed_dim=512)
