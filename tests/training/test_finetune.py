"""Fine-tuning both towers, and moving packs onto what comes of it: the protocols FT-En and FT-All."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from glotclip import api
from glotclip.data.dataset import open_dataset
from glotclip.errors import ConfigError, DataError, FingerprintError, StorageError, TruncationWarning
from glotclip.models.checkpoints import load_base, save_base
from glotclip.packs.pack import LanguagePack
from glotclip.packs.polyglot import Polyglot

if TYPE_CHECKING:
    from tests.conftest import MakeBase

    from glotclip.models.dual_encoder import DualEncoder

pytestmark = pytest.mark.slow

FEW = {"steps": 60, "batch_size": 4, "lr": 3e-3, "precision": "fp32", "weight_decay": 0.0}


@pytest.fixture(scope="module")
def tuned(drawn: Path, base: DualEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tuned") / "base"
    api.finetune(base, data=drawn, out=out, settings=FEW)
    return out


def test_both_towers_learn_and_the_old_base_stays(base: DualEncoder, drawn: Path, tuned: Path) -> None:
    before = base.fingerprint
    new = load_base(str(tuned))
    assert base.fingerprint == before != new.fingerprint
    state, old = new.state(), base.state()
    assert not torch.equal(state["text.blocks.0.qkv.weight"], old["text.blocks.0.qkv.weight"])
    assert not torch.equal(state["vision.blocks.0.qkv.weight"], old["vision.blocks.0.qkv.weight"])
    dataset = open_dataset(drawn)
    train = [row for row in dataset.corpus(["en"]).rows if row.split == "train" and row.lang == "en" and row.image]
    scores = []
    for each in (base, new):
        model = Polyglot(each)
        texts = model.encode_text([row.text for row in train])
        pictures = model.encode_image([row.image for row in train if row.image])
        scores.append(float((texts @ pictures.T).argmax(dim=1).eq(torch.arange(len(train))).float().mean()))
    assert scores[1] >= scores[0] + 0.3


def test_frozen_pictures_keep_the_image_tower(base: DualEncoder, drawn: Path, tmp_path: Path) -> None:
    api.finetune(base, data=drawn, out=tmp_path / "text-only", settings={**FEW, "steps": 2, "images": False})
    new = load_base(str(tmp_path / "text-only")).state()
    assert all(torch.equal(new[name], tensor) for name, tensor in base.state().items() if name.startswith("vision."))
    assert not torch.equal(new["text.table"], base.state()["text.table"])


def test_a_taken_folder_and_missing_pairs_are_refused(base: DualEncoder, drawn: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="there already"):
        api.finetune(base, data=drawn, out=tmp_path, settings=FEW)
    texts = tmp_path / "texts.csv"
    texts.write_text("text,lang,english\nein Hund,de,a dog\na dog,en,\n", encoding="utf-8")
    with pytest.raises(DataError, match="no training images"):
        api.finetune(base, data=texts, out=tmp_path / "x", settings=FEW)


def test_acquirers_are_plugged_in_unchanged_and_then_learn_further(
    drawn: Path, tuned: Path, make_base: MakeBase, base: DualEncoder, tmp_path: Path
) -> None:
    save_base(base, tmp_path / "old")
    small = {"steps": 4, "batch_size": 4, "vocabulary": 600, "bottleneck": 4, "precision": "fp32", "lr": 1e-3}
    api.extend(tmp_path / "old", ["de", "fr"], data=drawn, method="acquirer", out=tmp_path / "taught", settings=small)
    moved = api.rebase(tmp_path / "taught", tuned, tmp_path / "moved")
    old, new = api.load(tmp_path / "taught"), load_base(str(tuned))
    assert moved.base.fingerprint == new.fingerprint
    for scope, parts in old.packs["de"].state.modules.items():
        for part, same in zip(parts, moved.packs["de"].state.modules[scope], strict=True):
            assert all(torch.equal(tensor, same.tensors()[name]) for name, tensor in part.tensors().items())
    with pytest.raises(FingerprintError):
        LanguagePack.load(tmp_path / "taught" / "packs" / "de-1", new)
    with pytest.raises(ConfigError, match="already"):
        api.rebase(tmp_path / "taught", tuned, tmp_path / "moved")

    french = moved.encode_text(["un cercle"], lang="fr")
    run = api.extend(
        tmp_path / "moved", ["de"], data=drawn, method="acquirer", out=tmp_path / "moved", continue_learning=True,
        settings={**small, "stages": ["le"]},
    )  # fmt: skip
    after = run.load()
    assert after.packs["de"].manifest.learnt == ("de",)
    assert not torch.equal(after.encode_text(["ein Kreis"], lang="de"), moved.encode_text(["ein Kreis"], lang="de"))
    assert torch.equal(after.encode_text(["un cercle"], lang="fr"), french)


def test_packs_do_not_move_onto_another_geometry(drawn: Path, make_base: MakeBase, tmp_path: Path) -> None:
    save_base(make_base(), tmp_path / "old")
    settings = {"steps": 2, "batch_size": 4, "vocabulary": 600, "precision": "fp32"}
    api.extend(tmp_path / "old", ["de"], data=drawn, out=tmp_path / "taught", settings=settings)
    with pytest.raises(ConfigError, match="another tokenizer or text geometry"):
        api.rebase(tmp_path / "taught", make_base(causal=False), tmp_path / "moved")


def test_captions_longer_than_the_context_are_counted(base: DualEncoder, drawn: Path, tmp_path: Path) -> None:
    picture = str(next((drawn.parent / "pictures").glob("*.png")))
    rows = [{"image": picture, "lang": "en", "text": text} for text in ("red circle " * 20, "\u200fred circle")]
    (tmp_path / "long.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    with pytest.warns(TruncationWarning, match="1 of 2 captions have more than 24 tokens"):
        api.finetune(base, data=tmp_path / "long.jsonl", out=tmp_path / "out", settings={**FEW, "steps": 1})
