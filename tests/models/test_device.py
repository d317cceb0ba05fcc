"""Where to compute and in which precision: names that exist, and plain errors for those that do not."""

from __future__ import annotations

import pytest
import torch

from glotclip.errors import ConfigError
from glotclip.models.device import choose_device, choose_precision, precision_dtype


def test_devices() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device().type in ("cpu", "cuda", "mps")
    with pytest.raises(ConfigError, match="unknown device 'gpu'"):
        choose_device("gpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has such a device")
def test_a_device_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match="no usable device 'cuda:1'") as caught:
        choose_device("cuda:1")
    assert "--device auto" in caught.value.hint


@pytest.mark.parametrize("native", [True, False])
def test_bf16_is_chosen_where_the_processor_multiplies_it(monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)
    assert choose_precision("auto", torch.device("cpu")) == ("bf16" if native else "fp32")
    assert choose_precision("fp16", torch.device("cpu")) == "fp16"


def test_unknown_precisions() -> None:
    assert precision_dtype("bf16") == torch.bfloat16
    for call in (precision_dtype, lambda name: choose_precision(name, torch.device("cpu"))):
        with pytest.raises(ConfigError, match="unknown precision 'int8'"):
            call("int8")
