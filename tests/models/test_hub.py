from __future__ import annotations

from pathlib import Path

import pytest

from glotclip.errors import CheckpointError
from glotclip.models import built_in, hub


def test_paths_that_exist_are_taken(tmp_path: Path) -> None:
    assert hub.locate(tmp_path) == tmp_path
    assert hub.locate(str(tmp_path)) == tmp_path


def test_a_mistyped_path_names_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "my-clip").mkdir()
    with pytest.raises(CheckpointError, match="my-clip is spelt like it"):
        hub.locate(str(tmp_path / "my-clop"))
    with pytest.raises(CheckpointError, match="no folder or file"):
        hub.locate(tmp_path / "nothing" / "here")


def test_a_mistyped_name_names_the_built_in_one() -> None:
    with pytest.raises(CheckpointError, match="did you mean 'emoji-clip'"):
        hub.locate("emoij-clip")


def test_an_absent_built_in_base_is_said_to_be_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(built_in.BUILT_IN, "emoji-clip", tmp_path / "emoji-clip")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="not part of this installation"):
        hub.locate("emoji-clip")


def test_a_hub_id_without_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner").mkdir()
    (tmp_path / "owner" / "model-a").mkdir()
    with pytest.raises(CheckpointError, match="cannot be reached") as caught:
        hub.locate("owner/model-b")
    assert "there is no folder 'owner/model-b' here; owner/model-a is spelt like it" in caught.value.message


def test_errors_of_the_hub_are_told_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub

    monkeypatch.chdir(tmp_path)
    for error, message in ((OSError("disk"), "failed: disk"), (ConnectionError("reset"), "failed: reset")):

        def fail(*_: object, error: Exception = error, **__: object) -> str:
            raise error

        monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
        with pytest.raises(CheckpointError, match=message):
            hub.locate("owner/model")
