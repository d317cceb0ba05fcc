"""Features equal those of ``transformers`` on random weights of the exact published geometries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import torch

from glotclip.models import checkpoints
from glotclip.models.naflex_tower import NaflexTower
from glotclip.models.text_tower import TextTower
from glotclip.models.vision_tower import VisionTransformer

pytestmark = pytest.mark.slow

GEOMETRIES: dict[str, Any] = {
    "ViT-B/32": ("clip", (512, 2048, 8, 12), (768, 3072, 12, 12, 32), 512),
    "ViT-L/14": ("clip", (768, 3072, 12, 12), (1024, 4096, 16, 24, 14), 768),
    "SigLIP-B/16": ("siglip", (768, 3072, 12, 12), (768, 3072, 12, 12, 16), 768),
}


class Pair(NamedTuple):
    theirs: Any
    text: TextTower
    vision: VisionTransformer | NaflexTower


@pytest.fixture(scope="module", params=GEOMETRIES)
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    import transformers

    kind, text_shape, vision_shape, embed = GEOMETRIES[request.param]
    width, inner, heads, layers = text_shape
    sight, vision_inner, vision_heads, vision_layers, patch = vision_shape
    text = {
        "hidden_size": width, "intermediate_size": inner, "num_attention_heads": heads, "num_hidden_layers": layers,
        "eos_token_id": 49_407,
    }  # fmt: skip
    vision = {
        "hidden_size": sight, "intermediate_size": vision_inner, "num_attention_heads": vision_heads,
        "num_hidden_layers": vision_layers, "patch_size": patch,
    }  # fmt: skip
    config: Any
    if kind == "clip":
        config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=embed)
    else:
        text["eos_token_id"] = 1
        config = transformers.SiglipConfig(text_config=text, vision_config=vision)
    model = draw(transformers.CLIPModel if kind == "clip" else transformers.SiglipModel, config)
    _, ours_text, ours_vision = checkpoints.hugging_face_towers(
        config.to_dict(), model.state_dict(), where=request.param
    )
    yield Pair(model, ours_text.eval(), ours_vision.eval())


def draw(kind: Any, config: Any) -> Any:
    """Build a model with weights from a seeded generator, without the library's slow initialization."""
    with torch.device("meta"):
        model = kind(config)
    model = model.to_empty(device="cpu").eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(0, 0.02, generator=generator)
            if "norm" in name and name.endswith("weight"):
                parameter.add_(1)
        for name, buffer in model.named_buffers():
            assert name.endswith("position_ids"), name
            buffer.copy_(torch.arange(buffer.shape[-1]).expand_as(buffer))
    return model


def test_text_features(pair: Pair) -> None:
    config = pair.text.config
    lengths = torch.tensor([5, config.context_length, 2, 13, 13, 30])
    ids = torch.randint(2, config.vocab_size - 10, (6, config.context_length))
    block_hooks = torch.arange(config.context_length) < lengths[:, None]
    end = 49_407 if config.causal else 1
    ids[~block_hooks] = end
    ids[torch.arange(6), lengths - 1] = end
    with torch.no_grad():
        if config.causal:
            pooled = pair.theirs.text_model(input_ids=ids, attention_mask=block_hooks.long()).pooler_output
            expected = pair.theirs.text_projection(pooled)
        else:
            expected = pair.theirs.text_model(input_ids=ids).pooler_output
        ours = pair.text(ids, lengths)
    assert expected.std() > 0.05
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)
    if config.causal:
        with torch.no_grad():
            torch.testing.assert_close(pair.text(ids[:4, :30], lengths.clamp(max=30)[:4])[[0, 2, 3]],
                                       expected[[0, 2, 3]], atol=1e-5, rtol=0)  # fmt: skip


def test_image_features(pair: Pair) -> None:
    pixels = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = pair.theirs.vision_model(pixel_values=pixels).pooler_output
        if hasattr(pair.theirs, "visual_projection"):
            expected = pair.theirs.visual_projection(expected)
        ours = pair.vision(pixels)
    assert expected.std() > 0.05
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)
