"""Loading what is no model folder, and the checkpoint beside a base that is being trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from glotclip import api
from glotclip.api.bases import training_checkpoint
from glotclip.errors import ConfigError, StorageError
from glotclip.models.checkpoints import save_base
from glotclip.training import checkpoint

if TYPE_CHECKING:
    from glotclip.models.dual_encoder import DualEncoder

pytestmark = pytest.mark.slow


def test_a_base_that_moved_is_for_folders_only(base: DualEncoder, tmp_path: Path) -> None:
    save_base(base, tmp_path / "base")
    with pytest.raises(ConfigError, match="no base that could have moved"):
        api.load(tmp_path / "base", base=base)
    assert api.load(tmp_path / "base").base.fingerprint == base.fingerprint


def test_an_archive_is_named_as_one(tmp_path: Path) -> None:
    (tmp_path / "packs.zip").write_bytes(b"PK\x05\x06" + bytes(18))
    with pytest.raises(ConfigError, match="is an archive"):
        api.load(tmp_path / "packs.zip")


def test_the_checkpoint_of_a_training_lies_beside_what_it_makes(tmp_path: Path) -> None:
    place = training_checkpoint(tmp_path / "new", ())
    assert place == tmp_path / ".new.training.safetensors"
    checkpoint.save(place, {"a": torch.zeros(1)}, {"identity": "x"})
    assert training_checkpoint(tmp_path / "new", ()) == place
    place.write_bytes(b"mine")
    with pytest.raises(StorageError, match="is no checkpoint of glotclip"):
        training_checkpoint(tmp_path / "new", ())
    with pytest.raises(StorageError, match="there already"):
        training_checkpoint(tmp_path, ())
