"""MSCOCO and Flickr30K with Karpathy's splits: one JSON file each, about five English captions a picture.

``dataset_coco.json`` (train and restval together train, 113,287 / 5,000 / 5,000 pictures) and
``dataset_flickr30k.json`` (29,000 / 1,014 / 1,000), as Karpathy & Fei-Fei (2015) released them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from glotclip.data.corpora.layout import Layout, Located, entries, first
from glotclip.data.schema import Row

_SPLITS = {"train": "train", "restval": "train", "val": "validation", "test": "test"}
COCO_PLACES = tuple(
    f"{up}{name}" for up in ("", "../") for name in ("", "images", "MSCOCO", "mscoco", "COCO", "coco", "coco2014")
)


class Karpathy(Layout):
    """One of Karpathy's files; a row's group is the picture's file name."""

    file: ClassVar[str]

    def languages(self, folder: Path) -> list[str]:
        """English."""
        return ["en"] if _path(folder, self.file) else []

    def captions(self, folder: Path, lang: str) -> Iterator[Located]:
        """The raw captions, picture by picture."""
        path = _path(folder, self.file) or folder / self.file
        for number, image in enumerate(entries(path, "images")):
            name, split = image.get("filename"), _SPLITS.get(str(image.get("split")))
            sentences = image.get("sentences")
            if not isinstance(name, str) or split is None or not isinstance(sentences, list):
                yield str(path), None, f"picture {number} lacks a filename, a known split or sentences"
                continue
            picture = Path(str(image.get("filepath", "")), name)
            for sentence in sentences:
                text = sentence.get("raw") if isinstance(sentence, dict) else None
                if isinstance(text, str):
                    yield str(path), None, Row(text, lang, image=picture, split=split, group=name)
                else:
                    yield str(path), None, f"a sentence of {name} has no raw text"


class Coco(Karpathy):
    """MSCOCO."""

    name = "mscoco"
    licence = "MSCOCO captions: CC BY 4.0; pictures: Flickr's terms"
    needs = "dataset_coco.json (Karpathy's splits)"
    picture_places = COCO_PLACES
    file = "dataset_coco.json"


class Flickr30K(Karpathy):
    """Flickr30K."""

    name = "flickr30k"
    licence = "Flickr30K: research use; pictures: Flickr's terms"
    needs = "dataset_flickr30k.json (Karpathy's splits)"
    picture_places = tuple(
        f"{up}{name}" for up in ("", "../") for name in ("flickr30k-images", "flickr30k_images", "images")
    )
    file = "dataset_flickr30k.json"


def split_of_coco(folders: Sequence[Path]) -> dict[int, str] | None:
    """Return the split of each COCO picture by its number, from the first ``dataset_coco.json`` below ``folders``.

    Datasets that caption COCO's pictures anew take their splits from there; ``None`` without such a file.
    """
    for folder in folders:
        path = _path(folder, Coco.file)
        if path is not None:
            images = entries(path, "images")
            return {int(image["cocoid"]): _SPLITS[image["split"]] for image in images if "cocoid" in image}
    return None


def coco_picture(number: int, of: str) -> Path:
    """Return where COCO keeps picture ``number`` of ``of``, ``train2014`` or ``val2014``."""
    return Path(of, f"COCO_{of}_{number:012d}.jpg")


def _path(folder: Path, name: str) -> Path | None:
    return first(folder, (name, f"karpathy/{name}", f"annotations/{name}"))


COCO = Coco()
FLICKR30K = Flickr30K()
