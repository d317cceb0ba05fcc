"""LoRA packs out to peft's format and back: the same features, and clear words where it cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from glotclip import api
from glotclip.cli.main import run
from glotclip.errors import CheckpointError, ConfigError, LanguageError
from glotclip.models.checkpoints import save_base
from glotclip.packs.exchange import from_peft, to_peft
from glotclip.packs.folder import PolyglotFolder

if TYPE_CHECKING:
    from glotclip.models.dual_encoder import DualEncoder

pytestmark = pytest.mark.slow

SMALL: dict[str, Any] = {"steps": 5, "batch_size": 4, "precision": "fp32", "lr": 1e-2, "cross_modal": 0.0}
PLAIN = {**SMALL, "embedding": "base", "norms": False}


@pytest.fixture
def taught(base: DualEncoder, drawn: Path, tmp_path: Path) -> Path:
    save_base(base, tmp_path / "base")
    api.extend(
        tmp_path / "base", ["de", "fr"], data=drawn, method="lora", out=tmp_path / "taught", settings=PLAIN,
        benchmark=False, cache=tmp_path / "cache",
    )  # fmt: skip
    return tmp_path / "taught"


def test_there_and_back_the_features_are_the_same(taught: Path, tmp_path: Path) -> None:
    assert run(["pack", "to-peft", str(taught), "--lang", "de", "--out", str(tmp_path / "adapter")]) == 0
    assert {"adapter_config.json", "adapter_model.safetensors"} <= {
        file.name for file in (tmp_path / "adapter").iterdir()
    }
    back = tmp_path / "back"
    arguments = ["pack", "from-peft", str(tmp_path / "base"), str(tmp_path / "adapter"), "--lang", "de"]
    assert run([*arguments, "--out", str(back)]) == 0
    before, after = api.load(taught), api.load(back)
    text = ["roter Kreis"]
    torch.testing.assert_close(after.encode_text(text, lang="de"), before.encode_text(text, lang="de"))
    assert not torch.allclose(before.encode_text(text, lang="de"), before.encode_text(text, lang="en"))
    assert after.packs["de"].manifest.method == "lora"
    assert run([*arguments, "--out", str(back)]) != 0  # it is installed already


def test_a_second_adapter_joins_the_first(taught: Path, tmp_path: Path) -> None:
    polyglot = api.load(taught)
    for code in ("de", "fr"):
        to_peft(polyglot, code, tmp_path / code)
        from_peft(polyglot.base, polyglot.source, tmp_path / code, code, PolyglotFolder(tmp_path / "both"))
    both = api.load(tmp_path / "both")
    assert both.languages == ["en", "de", "fr"]
    torch.testing.assert_close(both.encode_text(["cercle"], lang="fr"), polyglot.encode_text(["cercle"], lang="fr"))


def test_what_cannot_be_exchanged_says_so(taught: Path, base: DualEncoder, drawn: Path, tmp_path: Path) -> None:
    made = api.extend(
        taught.parent / "base", ["de"], data=drawn, method="lora", out=tmp_path / "more", benchmark=False,
        settings={**SMALL, "vocabulary": 600, "norms": True}, cache=tmp_path / "cache",
    )  # fmt: skip
    with pytest.raises(ConfigError):
        to_peft(made.load(), "de", tmp_path / "adapter")
    with pytest.raises(LanguageError, match="language 'hi' is not installed"):
        to_peft(made.load(), "hi", tmp_path / "adapter")
    with pytest.raises(CheckpointError, match="no adapter of peft"):
        from_peft(base, "base", tmp_path, "de", PolyglotFolder(tmp_path / "x"))
    to_peft(api.load(taught), "de", tmp_path / "good")
    with pytest.raises(LanguageError, match="base's own"):
        from_peft(base, "base", tmp_path / "good", "en", PolyglotFolder(tmp_path / "x"))
