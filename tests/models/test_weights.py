from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from glotclip.errors import CheckpointError
from glotclip.models import weights

TENSORS = {"a": torch.arange(4.0), "b": torch.ones(2, 2)}


class Evil:
    """What a malicious pickle would look like: it calls something when opened."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("ran"),))  # type: ignore[return-value]


def test_single_sharded_and_pickled_files(tmp_path: Path) -> None:
    for name in ("one", "shards", "bin", "wrapped"):
        (tmp_path / name).mkdir()
    save_file(TENSORS, tmp_path / "one" / "model.safetensors")
    for key in TENSORS:
        save_file({key: TENSORS[key]}, tmp_path / "shards" / f"model-{key}.safetensors")
    index = {"weight_map": {key: f"model-{key}.safetensors" for key in TENSORS}}
    (tmp_path / "shards" / "model.safetensors.index.json").write_text(json.dumps(index))
    torch.save(TENSORS, tmp_path / "bin" / "pytorch_model.bin")
    wrapped = {"state_dict": {f"module.{key}": value for key, value in TENSORS.items()}, "epoch": 3}
    torch.save(wrapped, tmp_path / "wrapped" / "pytorch_model.bin")
    for name in ("one", "shards", "bin", "wrapped"):
        read = weights.read_folder(tmp_path / name, "model")
        assert read.keys() == TENSORS.keys()
        assert all(torch.equal(read[key], TENSORS[key]) for key in TENSORS)


def test_a_pickle_named_safetensors_is_refused(tmp_path: Path) -> None:
    torch.save(TENSORS, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="is a pickle"):
        weights.read_folder(tmp_path, "model")
    (tmp_path / "model.safetensors").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(CheckpointError, match="is a pickle"):
        weights.read_folder(tmp_path, "model")


def test_nothing_in_a_pickle_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"a": Evil()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="more than tensors"):
        weights.read_folder(tmp_path, "model")
    (tmp_path / "old.pt").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(CheckpointError):
        weights.read_file(tmp_path / "old.pt")
    assert not (tmp_path / "ran").exists()


def test_torchscript_gets_a_recipe(tmp_path: Path) -> None:
    module = torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2))  # type: ignore[no-untyped-call]
    module.save(str(tmp_path / "a.pt"))
    with pytest.raises(CheckpointError, match="TorchScript") as caught:
        weights.read_file(tmp_path / "a.pt")
    assert "torch.jit.load" in caught.value.hint


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_cut_and_empty_files(tmp_path: Path, name: str) -> None:
    if name.endswith("safetensors"):
        save_file(TENSORS, tmp_path / name)
    else:
        torch.save(TENSORS, tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    for cut in (len(whole) - 3, len(whole) // 2, 4, 0):
        (tmp_path / name).write_bytes(whole[:cut])
        with pytest.raises(CheckpointError):
            weights.read_folder(tmp_path, "model")


def test_what_is_missing_or_strange(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no weights"):
        weights.read_folder(tmp_path, "model")
    with pytest.raises(CheckpointError, match="does not exist"):
        weights.read_file(tmp_path / "a.pt")
    torch.save([1, 2], tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="no table of tensors"):
        weights.read_file(tmp_path / "a.pt")
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../../secret.safetensors"}}')
    with pytest.raises(CheckpointError, match="outside"):
        weights.read_folder(tmp_path, "model")
    (tmp_path / "model.safetensors.index.json").write_text("[]")
    with pytest.raises(CheckpointError, match="not an index"):
        weights.read_folder(tmp_path, "model")
