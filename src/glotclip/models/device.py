"""Where to compute and in which precision, chosen by what the machine has."""

from __future__ import annotations

from typing import Literal, cast

import torch

from glotclip.errors import ConfigError

Precision = Literal["fp32", "bf16", "fp16"]
DTYPES: dict[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def precision_dtype(precision: str) -> torch.dtype:
    """Return the dtype that ``precision`` names."""
    if precision not in DTYPES:
        raise ConfigError(f"unknown precision {precision!r}", hint=f"use one of {', '.join(DTYPES)}")
    return DTYPES[precision]


def choose_device(name: str = "auto") -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps`` into a device that is there.

    Raises:
        ConfigError: if the device is unknown or this machine does not have it.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"unknown device {name!r}", hint="use auto, cpu, cuda or mps") from error
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(device.type, False):
        raise ConfigError(f"this machine has no usable device {name!r}", hint="use --device auto or cpu")
    return device


def choose_precision(name: str, device: torch.device) -> Precision:
    """Turn ``auto`` into "bf16" where the hardware multiplies it natively, else "fp32"; check the other names.

    On a processor with AMX or AVX512-BF16, bf16 is several times faster; emulated, it is slower than fp32.
    """
    if name == "auto":
        if device.type == "cuda":
            return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
        # torch's probes are private and came one by one.
        probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        native = any(getattr(torch.cpu, probe, lambda: False)() for probe in probes)
        return "bf16" if device.type == "cpu" and native else "fp32"
    if name not in DTYPES:
        raise ConfigError(f"unknown precision {name!r}", hint=f"use auto, {', '.join(DTYPES)}")
    return cast(Precision, name)
