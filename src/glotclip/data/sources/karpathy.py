"""MSCOCO and Flickr30K with Karpathy's splits: one JSON file each, about five English captions an image.

``dataset_coco.json`` (train and restval together train, 113,287 / 5,000 / 5,000 images) and
``dataset_flickr30k.json`` (29,000 / 1,014 / 1,000), as Karpathy & Fei-Fei (2015) released them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from glotclip.data.corpus_folder import CorpusFolder, Located
from glotclip.data.dataset import register
from glotclip.data.encodings import first_file, read_objects
from glotclip.data.schema import Row

_SPLITS = {"train": "train", "restval": "train", "val": "validation", "test": "test"}
_COCO_FILE = "dataset_coco.json"
COCO_PLACES = tuple(
    f"{up}{name}" for up in ("", "../") for name in ("", "images", "MSCOCO", "mscoco", "COCO", "coco", "coco2014")
)


class Karpathy(CorpusFolder):
    """One of Karpathy's files; a row's group is the image's file name."""

    precedence = -1  # corpora that caption the same images anew have this file beside their own
    file: ClassVar[str]

    def languages(self) -> list[str]:
        """English."""
        return ["en"] if _find(self.path, self.file) else []

    def captions(self, lang: str) -> Iterator[Located]:
        """The raw captions, image by image."""
        path = _find(self.path, self.file) or self.path / self.file
        for number, image in enumerate(read_objects(path, "images")):
            name, split = image.get("filename"), _SPLITS.get(str(image.get("split")))
            sentences = image.get("sentences")
            if not isinstance(name, str) or split is None or not isinstance(sentences, list):
                yield str(path), None, f"image {number} lacks a filename, a known split or sentences"
                continue
            where = Path(str(image.get("filepath", "")), name)
            for sentence in sentences:
                text = sentence.get("raw") if isinstance(sentence, dict) else None
                if isinstance(text, str):
                    yield str(path), None, Row(text, lang, image=where, split=split, group=name)
                else:
                    yield str(path), None, f"a sentence of {name} has no raw text"


@register
class Coco(Karpathy):
    """MSCOCO."""

    name = "mscoco"
    image_places = COCO_PLACES
    file = _COCO_FILE


@register
class Flickr30K(Karpathy):
    """Flickr30K."""

    name = "flickr30k"
    image_places = tuple(
        f"{up}{name}" for up in ("", "../") for name in ("flickr30k-images", "flickr30k_images", "images")
    )
    file = "dataset_flickr30k.json"


def split_of_coco(folders: Sequence[Path]) -> dict[int, str] | None:
    """Return the split of each COCO image by its number, from the first ``dataset_coco.json`` below ``folders``.

    Datasets that caption COCO's images anew take their splits from there; ``None`` without such a file.
    """
    path = next((path for folder in folders if (path := _find(folder, _COCO_FILE))), None)
    if path is None:
        return None
    images = read_objects(path, "images")
    return {int(image["cocoid"]): _SPLITS[image["split"]] for image in images if "cocoid" in image}


def coco_path(name: str) -> Path:
    """Return where COCO keeps an image: ``COCO_val2014_…jpg`` lies in ``val2014``; of other names, the name."""
    words = Path(name).name.split("_")
    return Path(words[1], Path(name).name) if len(words) == 3 else Path(name)


def _find(folder: Path, name: str) -> Path | None:
    return first_file(folder, (name, f"karpathy/{name}", f"annotations/{name}"))
