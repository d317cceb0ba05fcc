"""The losses against loops that follow the formulas sign by sign (CLL-CLIP §§2.1–2.2)."""

from __future__ import annotations

import math

import pytest
import torch

from glotclip.methods.losses import cross_lingual_mse, multi_positive_contrastive


def cosine(a: list[float], b: list[float]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))


def written_out_contrastive(
    z: list[list[float]], b: list[list[float]], groups: list[int], temperature: float
) -> float:
    """Both directions, every pair, every softmax in full."""
    count = len(z)
    scores = [[cosine(z[i], b[j]) / temperature for j in range(count)] for i in range(count)]
    total = 0.0
    for i in range(count):
        positives = [j for j in range(count) if groups[j] == groups[i]]
        by_text = math.log(sum(math.exp(scores[i][j]) for j in range(count)))
        by_image = math.log(sum(math.exp(scores[j][i]) for j in range(count)))
        for j in positives:
            total -= (scores[i][j] - by_text) / len(positives)
            total -= (scores[j][i] - by_image) / len(positives)
    return total / (2 * count)


def test_mse_is_over_batch_and_dimensions() -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(5, 7), torch.randn(5, 7)
    total = sum((float(student[i, k]) - float(teacher[i, k])) ** 2 for i in range(5) for k in range(7))
    assert float(cross_lingual_mse(student, teacher)) == pytest.approx(total / 35, rel=1e-6)


@pytest.mark.parametrize("groups", [[0, 1, 2, 3, 4, 5], [0, 0, 1, 2, 1, 1], [3, 3, 3, 3, 3, 3], [0, 1, 0, 1, 0, 2]])
@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_contrastive_with_repeated_images(groups: list[int], temperature: float) -> None:
    torch.manual_seed(1)
    z, b = torch.randn(6, 4, dtype=torch.float64), torch.randn(6, 4, dtype=torch.float64)
    got = multi_positive_contrastive(z, b, torch.tensor(groups), temperature)
    assert float(got) == pytest.approx(
        written_out_contrastive(z.tolist(), b.tolist(), groups, temperature), rel=1e-10
    )


def test_distinct_groups_give_clips_loss() -> None:
    torch.manual_seed(2)
    z, b = torch.randn(6, 4), torch.randn(6, 4)
    logits = torch.nn.functional.normalize(z) @ torch.nn.functional.normalize(b).T / 0.1
    places = torch.arange(6)
    clip = (
        torch.nn.functional.cross_entropy(logits, places) + torch.nn.functional.cross_entropy(logits.T, places)
    ) / 2
    torch.testing.assert_close(multi_positive_contrastive(z, b, places, 0.1), clip)


def test_lengths_do_not_matter_to_the_contrastive_loss_but_to_the_mse() -> None:
    torch.manual_seed(3)
    z, b, groups = torch.randn(4, 3), torch.randn(4, 3), torch.tensor([0, 0, 1, 2])
    torch.testing.assert_close(
        multi_positive_contrastive(3 * z, b / 2, groups, 0.2), multi_positive_contrastive(z, b, groups, 0.2)
    )
    assert not torch.isclose(cross_lingual_mse(3 * z, b), cross_lingual_mse(z, b))
