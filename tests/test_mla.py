"""MLA through the API: text alone where the loss is text alone, packs that touch nobody, many languages at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from glotclip import api
from glotclip.methods.acquirer import Acquirer
from glotclip.models.text_tower import TextConfig
from glotclip.packs.polyglot import Polyglot
from glotclip.training.parallel import World
from glotclip.training.task_data import TaskDataLoader

if TYPE_CHECKING:
    from tests.conftest import School

    from glotclip.models.dual_encoder import DualEncoder

pytestmark = pytest.mark.slow

SMALL: dict[str, Any] = {
    "steps": 6, "batch_size": 4, "vocabulary": 600, "bottleneck": 4, "precision": "fp32", "lr": 1e-2,
    "stages": "nlt,le",
}  # fmt: skip
TEXTS = {"de": ["roter Kreis", "grün"], "fr": ["cercle"], "hi": ["लाल"], "en": ["a red circle"]}


@pytest.fixture
def teach(base: DualEncoder, drawn: Path, tmp_path: Path) -> Callable[..., Polyglot]:
    def run(langs: list[str], out: str, start: Polyglot | None = None, **settings: Any) -> Polyglot:
        made = api.extend(
            start or Polyglot(base), langs, data=settings.pop("data", drawn), method="acquirer", out=tmp_path / out,
            benchmark=False, cache=tmp_path / "cache", settings={**SMALL, **settings},
        )  # fmt: skip
        return api.load(made.folder, base=base)

    return run


def test_native_language_transfer_opens_no_picture(
    teach: Callable[..., Polyglot], drawn: Path, tmp_path: Path
) -> None:
    spoilt = tmp_path / "spoilt.csv"
    (tmp_path / "pictures").mkdir()
    for picture in (drawn.parent / "pictures").iterdir():
        (tmp_path / "pictures" / picture.name).write_bytes(b"not a picture")
    spoilt.write_bytes(drawn.read_bytes())
    assert "de" in teach(["de"], "text", data=spoilt, stages="nlt").languages
    with pytest.raises(Exception, match="readable image"):
        teach(["de"], "pictures-too", data=spoilt, stages="le")


def test_a_language_added_later_changes_no_bit_of_any_other(
    teach: Callable[..., Polyglot], base: DualEncoder, tmp_path: Path
) -> None:
    before = teach(["de", "fr"], "out")
    features = {code: before.encode_text(TEXTS[code], lang=code) for code in ("de", "fr", "en")}
    after = teach(["hi"], "out", start=before)
    assert after.languages == ["en", "de", "fr", "hi"]
    for code, expected in features.items():
        assert torch.equal(after.encode_text(TEXTS[code], lang=code), expected), code
    assert torch.equal(features["en"], Polyglot(base).encode_text(TEXTS["en"], lang="en"))


def test_a_batch_may_hold_a_language_for_each_text(teach: Callable[..., Polyglot]) -> None:
    polyglot = teach(["de", "fr"], "out")
    texts, langs = ["roter Kreis", "a red circle", "cercle", "grün"], ["de", "en", "fr", "de"]
    mixed = polyglot.encode_text(texts, lang=langs)
    alone = torch.cat([polyglot.encode_text([text], lang=code) for text, code in zip(texts, langs, strict=True)])
    torch.testing.assert_close(mixed, alone, rtol=0, atol=1e-6)
    base = polyglot.base
    pack = polyglot.remove_pack("fr")
    assert polyglot.languages == ["en", "de"]
    polyglot.add_pack(pack)
    assert polyglot.base is base
    torch.testing.assert_close(polyglot.encode_text(texts, lang=langs), mixed, rtol=0, atol=0)


def test_half_precision_halves_the_pack_and_the_papers_size_is_the_papers(teach: Callable[..., Polyglot]) -> None:
    sizes = [teach(["de"], store, store=store).packs["de"].manifest.bytes for store in ("fp32", "fp16")]
    assert 0.4 < sizes[1] / sizes[0] < 0.75  # names and ids take their room in both
    with torch.device("meta"):
        paper, small = (Acquirer(TextConfig(), Acquirer.Config(bottleneck=size)) for size in (256, 16))
    assert 2 * _size(paper) / 1e6 == pytest.approx(6.3, abs=0.05)
    assert _size(small) < 0.07 * _size(paper)


def _size(module: Acquirer) -> int:
    return sum(weight.numel() for weight in module.parameters())


@pytest.mark.parametrize(("balance", "share"), [(0.0, 0.5), (1.0, 0.75), (0.5, 0.634)])
def test_languages_are_drawn_as_balance_says(school: School, balance: float, share: float) -> None:
    """German has three times the captions of French; √3 / (√3 + 1) = 0.634."""
    long = {**school.captions, "de": _repeated(school.captions["de"], 3)}
    curriculum = school.curriculum(("de", "fr"), isolation="shared", balance=balance, steps=4000, batch_size=4)
    task = curriculum.prepare(school.base, None, ("de", "fr"), long)
    loader = TaskDataLoader(task, long, curriculum.train, 4000, device=torch.device("cpu"), world=World())
    drawn = np.array([loader.datasets[number].language == "de" for number in loader.choice])
    assert drawn.mean() == pytest.approx(share, abs=0.03)
    (batch,) = loader(0)
    assert len(batch.texts) == 1


def _repeated(captions: Any, times: int) -> Any:
    from dataclasses import replace

    def rows(features: Any) -> Any:
        return replace(features, rows=np.tile(features.rows, times))

    return replace(
        captions,
        texts=captions.texts * times,
        target_features=rows(captions.target_features),
        images=rows(captions.images),
        groups=np.tile(captions.groups, times),
    )
