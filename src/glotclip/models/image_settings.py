"""Preprocessing as other projects' files describe it: transformers' image processors, and open_clip's.

Rescaling and normalisation are one linear map, (x · factor − mean) / std, of pixels from 0 to 255. Ours is
(x / 255 − mean) / std, so whatever a file says of them becomes a mean and a deviation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast, get_args

from glotclip.errors import CheckpointError, ConfigError
from glotclip.models.known_keys import known_keys, read_table, stated
from glotclip.models.naflex_tower import NaflexConfig
from glotclip.models.preprocess import CLIP_MEAN, CLIP_STD, Interpolation, Preprocess, Resize
from glotclip.models.vision_tower import VisionConfig

PROCESSOR, IMAGE_PROCESSOR = "processor_config.json", "preprocessor_config.json"
HALF = (0.5, 0.5, 0.5)

# Pillow's numbers, which transformers writes.
RESAMPLE: tuple[Interpolation, ...] = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")

# What an image processor's class assumes where its file is silent. Sizes are the tower's then.
_COMMON = {
    "do_resize": True, "do_rescale": True, "do_normalize": True, "do_center_crop": False, "do_pad": False,
    "rescale_factor": 1 / 255, "default_to_square": False,
}  # fmt: skip
DEFAULTS: dict[str, dict[str, Any]] = {
    "CLIP": {**_COMMON, "resample": 3, "image_mean": CLIP_MEAN, "image_std": CLIP_STD, "do_center_crop": True},
    "Siglip": {**_COMMON, "resample": 3, "image_mean": HALF, "image_std": HALF},
    "ViT": {**_COMMON, "resample": 2, "image_mean": HALF, "image_std": HALF, "default_to_square": True},
}
# NaFlex keeps the aspect ratio, so its processor has no size; it always scales.
NAFLEX_DEFAULTS = {**_COMMON, "resample": 2, "image_mean": HALF, "image_std": HALF, "max_num_patches": 256}


class Size(NamedTuple):
    """Height and width in pixels; ``shortest`` where they are those of the shorter side."""

    height: int
    width: int
    shortest: bool = False


def default_preprocess(vision: VisionConfig | NaflexConfig) -> Preprocess:
    """CLIP's preprocessing, or SigLIP's, at the image tower's size."""
    if isinstance(vision, NaflexConfig):
        return _naflex(NAFLEX_DEFAULTS, vision)
    if vision.pooling == "attention":
        return Preprocess(size=vision.image_size, mean=HALF, std=HALF, resize="squash")
    return Preprocess(size=vision.image_size)


def hugging_face_settings(folder: Path) -> tuple[dict[str, Any], str] | None:
    """What a folder says of its image processor, and where it says it; None where it says nothing.

    transformers 5 nests it in ``processor_config.json``, and prefers that to the older ``preprocessor_config.json``.

    Raises:
        CheckpointError: a file is damaged, or ``processor_config.json`` has keys that are not understood.
    """
    processor, older = folder / PROCESSOR, folder / IMAGE_PROCESSOR
    if processor.exists():
        table = read_table(processor)
        if table.get("image_processor") is not None:
            known_keys("processor").check(table, PROCESSOR)
            nested = table["image_processor"]
            if not isinstance(nested, Mapping):
                raise CheckpointError(f"{processor}: image_processor is no table of settings")
            return dict(nested), f"{PROCESSOR} (image_processor)"
    return (read_table(older), IMAGE_PROCESSOR) if older.exists() else None


def hugging_face_preprocess(
    settings: Mapping[str, Any], vision: VisionConfig | NaflexConfig, where: str
) -> Preprocess:
    """Preprocessing from the settings of one of transformers' image processors.

    Args:
        settings: of ``preprocessor_config.json``, or nested in ``processor_config.json``.
        vision: of the image tower; the images must come out at its size.
        where: what an error calls the file.

    Raises:
        CheckpointError: for a processor, a key or a value that is not understood, or another size than the tower's.
    """
    if isinstance(vision, NaflexConfig):
        return _naflex_preprocess(settings, vision, where)
    known_keys("image processor").check(settings, where)
    kind = _kind(settings, "Siglip" if vision.pooling == "attention" else "CLIP", where)
    given = {**DEFAULTS[kind], **stated(settings)}
    sizes = {key: given[key] for key in ("size", "crop_size", "do_resize", "do_center_crop") if key in given}
    with _followed(where, f" (sizes: {sizes}; the image tower reads {vision.image_size} × {vision.image_size})"):
        resize, scaled, side = _geometry(given, vision.image_size, kind)
        if side != vision.image_size:
            raise ValueError(f"images come out {side} pixels wide")
        return Preprocess(side, *_linear(given), resize, _filter(given["resample"]), scaled)


def _naflex_preprocess(settings: Mapping[str, Any], vision: NaflexConfig, where: str) -> Preprocess:
    known_keys("NaFlex processor").check(settings, where)
    given = {**NAFLEX_DEFAULTS, **stated(settings)}
    name, patch = given.get("image_processor_type", "Siglip2ImageProcessor"), given.get("patch_size", 16)
    if not str(name).startswith("Siglip2ImageProcessor") or patch != vision.patch_size:
        raise CheckpointError(
            f"{where}: {name} with patches of {patch} pixels, but this NaFlex tower reads patches of "
            f"{vision.patch_size} from Siglip2ImageProcessor",
            hint="use the file of this very checkpoint",
        )
    with _followed(where):
        return _naflex(given, vision)


@contextmanager
def _followed(where: str, facts: str = "") -> Iterator[None]:
    """Turn what an impossible value raises into an error of the checkpoint."""
    try:
        yield
    except (ConfigError, TypeError, ValueError, KeyError) as error:
        reason = error.message if isinstance(error, ConfigError) else f"{error}"
        raise CheckpointError(
            f"{where} cannot be followed: {reason}{facts}",
            hint="use the file of this very checkpoint; glotclip scales and crops to the tower's one square size",
        ) from error


def _naflex(given: Mapping[str, Any], vision: NaflexConfig) -> Preprocess:
    mean, std = _linear(given)
    (most, _), name = _pair(given["max_num_patches"]), _filter(given["resample"])
    return Preprocess(vision.patch_size, mean, std, "patches", name, patches=most)


def open_clip_preprocess(settings: Mapping[str, Any], vision: VisionConfig, where: str) -> Preprocess:
    """Preprocessing from the ``preprocess_cfg`` of an ``open_clip_config.json``; OpenAI's where it is silent."""
    known_keys("open_clip preprocess").check(settings, where)
    given = stated(settings)
    side, usual = vision.image_size, default_preprocess(vision)
    allowed = {
        "resize_mode": ("shortest", "squash"), "interpolation": ("bicubic", "bilinear"), "size": (side, [side] * 2)
    }  # fmt: skip
    for key, values in allowed.items():
        if given.get(key, values[0]) not in values:
            raise CheckpointError(
                f"{where}: {key} = {given[key]!r}, but only {' and '.join(map(str, values))} can be followed",
                hint="use the file of this very checkpoint",
            )
    mean, std = (given.get(key, getattr(usual, key)) for key in ("mean", "std"))
    resize, name = given.get("resize_mode", "shortest"), given.get("interpolation", "bicubic")
    with _followed(where, f" (mean = {mean!r}, std = {std!r})"):
        return Preprocess(side, _three(mean), _three(std), resize, name)


def _kind(settings: Mapping[str, Any], usual: str, where: str) -> str:
    """The family of an image processor's class, by any of the names it has had."""
    name = settings.get("image_processor_type") or settings.get("feature_extractor_type")
    if name is None:
        return usual
    kind = str(name)
    for ending in ("Fast", "Pil", "ImageProcessor", "FeatureExtractor"):
        kind = kind.removesuffix(ending)
    if kind not in DEFAULTS:
        raise CheckpointError(
            f"{where}: the image processor {name!r} is not known",
            hint=f"known: {', '.join(f'{one}ImageProcessor' for one in DEFAULTS)}; use the checkpoint's own file",
        )
    return kind


def _geometry(given: Mapping[str, Any], side: int, kind: str) -> tuple[Resize, tuple[int, int] | None, int]:
    """How images are scaled, to what, and how large they come out."""
    crop = None
    if given["do_center_crop"]:
        crop = _size(given.get("crop_size", side), square=True)
        if crop.shortest or crop.height != crop.width:
            raise ValueError(f"crop_size = {given.get('crop_size')!r} is no square")
    # Padding changes nothing where images come out at the tower's size, unless it is to another size.
    if given["do_pad"] and _size(given.get("pad_size", side), square=True) != (side, side, False):
        raise ValueError(f"do_pad with pad_size = {given.get('pad_size')!r}")
    if not given["do_resize"]:
        if crop is None:
            raise ValueError("neither do_resize nor do_center_crop: images keep their sizes")
        return "none", None, crop.height
    fallback = {"shortest_edge": side} if kind == "CLIP" else {"height": side, "width": side}
    size = _size(given.get("size", fallback), square=bool(given["default_to_square"]))
    if given.get("use_square_size") and size.shortest:
        size = size._replace(shortest=False)
    if crop is None:
        if size.shortest or size.height != size.width:
            raise ValueError("scaled images are not square, and do_center_crop is off")
        return "squash", None, size.height
    scaled = None if size[:2] == crop[:2] else (size.height, size.width)
    return "shortest" if size.shortest else "squash", scaled, crop.height


def _size(value: Any, *, square: bool) -> Size:
    """Any spelling of a size; a plain number is the shorter side unless ``square``."""
    if isinstance(value, Mapping):
        named = {key: number for key, number in value.items() if number is not None}
        if set(named) == {"shortest_edge"}:
            return Size(*_pair(named["shortest_edge"]), shortest=True)
        if set(named) == {"height", "width"}:
            return Size(*_pair([named["height"], named["width"]]))
        raise ValueError(f"size {dict(value)!r} is neither a shortest_edge nor height and width")
    pair = _pair(value)
    return Size(*pair, shortest=not square and isinstance(value, int))


def _pair(value: Any) -> tuple[int, int]:
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or not all(isinstance(one, int) and one > 0 and not isinstance(one, bool) for one in pair):
        raise ValueError(f"size {value!r} is not of whole pixels")
    return pair[0], pair[1]


def _linear(given: Mapping[str, Any]) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and deviation that do what rescaling and normalisation do together."""
    factor = float(given["rescale_factor"]) if given["do_rescale"] else 1.0
    if factor <= 0:
        raise ValueError(f"rescale_factor = {factor}")
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if given["do_normalize"]:
        mean, std = _three(given["image_mean"]), _three(given["image_std"])
    whole = 255 * factor
    if abs(whole - 1) < 1e-9:  # the usual case keeps its numbers to the last bit
        return mean, std
    return cast(
        tuple[tuple[float, float, float], tuple[float, float, float]],
        tuple(tuple(one / whole for one in values) for values in (mean, std)),
    )


def _three(value: Any) -> tuple[float, float, float]:
    """One number for each channel; a single one is for all."""
    values = (value,) * 3 if isinstance(value, int | float) else tuple(value)
    if len(values) != 3:
        raise ValueError(f"{value!r} is not one number for each of three channels")
    return values[0], values[1], values[2]


def _filter(value: Any) -> Interpolation:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(RESAMPLE):
        return RESAMPLE[value]
    name = str(value).lower().rpartition(".")[2]
    if name not in get_args(Interpolation):
        raise ValueError(f"resample = {value!r} is no filter of Pillow's")
    return cast(Interpolation, name)
