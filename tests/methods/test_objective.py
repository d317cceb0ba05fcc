"""The weighted sum: masks, weights of zero, and the temperature."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from glotclip.methods.losses import cross_lingual_mse, multi_positive_contrastive
from glotclip.methods.objective import Alignment, ObjectiveSettings, Targets

B, E = 8, 5


def alignment_of(lingual: float, modal: float, temperature: float = 0.07, **others: Any) -> Alignment:
    return Alignment(ObjectiveSettings(cross_lingual=lingual, cross_modal=modal, temperature=temperature, **others))


@pytest.fixture
def features() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(B, E, requires_grad=True)


@pytest.fixture
def targets() -> Targets:
    torch.manual_seed(1)
    has_english = torch.tensor([True, True, False, True, False, True, True, True])
    has_image = torch.tensor([True, False, True, True, True, False, True, True])
    return Targets(
        torch.randn(B, E) * has_english[:, None],
        torch.randn(B, E) * has_image[:, None],
        has_english,
        has_image,
        torch.tensor([0, 0, 1, 1, 2, 2, 3, 4]),
    )


def test_rows_without_target_take_no_part(features: torch.Tensor, targets: Targets) -> None:
    loss, parts = alignment_of(1.0, 0.5, 0.07)(features, targets)
    english, image = targets.has_target, targets.has_image
    lingual = cross_lingual_mse(features[english], targets.target_features[english])
    modal = multi_positive_contrastive(features[image], targets.images[image], targets.groups[image], 0.07)
    torch.testing.assert_close(loss, lingual + 0.5 * modal)
    torch.testing.assert_close(parts["cross_lingual"], lingual.detach())
    torch.testing.assert_close(parts["cross_modal"], modal.detach())
    (gradient,) = torch.autograd.grad(loss, features)
    neither = ~(english | image)
    assert not gradient[neither].any()
    assert gradient[~neither].abs().sum(dim=1).min() > 0


@pytest.mark.parametrize(("lingual", "modal"), [(1.0, 0.0), (0.0, 1.0)])
def test_a_weight_of_zero_skips_its_term(
    features: torch.Tensor, targets: Targets, lingual: float, modal: float
) -> None:
    poison = torch.full((B, E), torch.nan)
    spoilt = replace(targets, images=poison) if modal == 0 else replace(targets, target_features=poison)
    loss, parts = alignment_of(lingual, modal, 0.07)(features, spoilt)
    assert torch.isfinite(loss)
    assert set(parts) == ({"cross_lingual"} if modal == 0 else {"cross_modal"})


@pytest.mark.parametrize(("set_to", "used"), [(5.0, 0.5), (1e-6, 0.001), (-1.0, 0.001), (0.2, 0.2)])
def test_the_temperature_is_clamped_in_place_before_use(
    features: torch.Tensor, targets: Targets, set_to: float, used: float
) -> None:
    alignment = alignment_of(0.0, 1.0, 0.07)
    with torch.no_grad():
        alignment.temperature.fill_(set_to)
    loss, _ = alignment(features, targets)
    assert float(alignment.temperature.detach()) == pytest.approx(used)
    image = targets.has_image
    expected = multi_positive_contrastive(features[image], targets.images[image], targets.groups[image], used)
    torch.testing.assert_close(loss, expected)


def test_the_temperature_trains_only_where_it_is_used(features: torch.Tensor, targets: Targets) -> None:
    assert not alignment_of(1.0, 0.0, 0.07).temperature.requires_grad
    assert not alignment_of(1.0, 1.0, 0.07, learn_temperature=False).temperature.requires_grad
    alignment = alignment_of(1.0, 0.01, 0.07)
    alignment(features, targets)[0].backward()
    assert alignment.temperature.grad is not None
    assert float(alignment.temperature.grad) != 0


def test_contrastive_alignment_compares_the_two_texts(features: torch.Tensor, targets: Targets) -> None:
    _, parts = alignment_of(1.0, 0.0, alignment="contrastive", target_encoder="trained")(features, targets)
    rows = targets.has_target
    expected = multi_positive_contrastive(features[rows], targets.target_features[rows], targets.groups[rows], 0.07)
    torch.testing.assert_close(parts["cross_lingual"], expected.detach())


def test_alignment_through_the_image_moves_the_target_alone(features: torch.Tensor, targets: Targets) -> None:
    target_features = targets.target_features.clone().requires_grad_()
    alignment = alignment_of(1.0, 0.0, alignment="with-image", target_encoder="trained")
    loss, _ = alignment(features, replace(targets, target_features=target_features))
    rows = targets.has_target & targets.has_image
    expected = multi_positive_contrastive(target_features[rows], targets.images[rows], targets.groups[rows], 0.07)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert features.grad is None or not features.grad.any()
    assert target_features.grad is not None and target_features.grad[rows].any()


def test_replayed_rows_are_held_to_what_was_kept_and_still_contrast(features: torch.Tensor, targets: Targets) -> None:
    replayed = torch.arange(B) >= B // 2
    _, parts = alignment_of(1.0, 0.5)(features, replace(targets, replayed=replayed))
    current, held = targets.has_target & ~replayed, targets.has_target & replayed
    torch.testing.assert_close(
        parts["cross_lingual"], cross_lingual_mse(features[current], targets.target_features[current]).detach()
    )
    torch.testing.assert_close(
        parts["replay"], cross_lingual_mse(features[held], targets.target_features[held]).detach()
    )
    _, without = alignment_of(1.0, 0.5)(features, targets)
    torch.testing.assert_close(parts["cross_modal"], without["cross_modal"])


@pytest.mark.parametrize(
    "values", [{"cross_lingual": 0, "cross_modal": 0}, {"alignment": "with-image", "target_encoder": "frozen"}]
)
def test_settings_that_would_teach_nothing_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"nothing would be learnt|target_encoder=trained"):
        ObjectiveSettings(**values)
