"""STAIR Captions: five Japanese captions for each picture of COCO's train2014 and val2014, in COCO's format.

The captions are no translations. With Karpathy's ``dataset_coco.json`` in the folder, beside it or in a folder
``coco`` beside it, pictures get his splits, as MLA's protocol wants; without it COCO's own, with ``val2014`` for
validation.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from glotclip.data.corpora.karpathy import COCO_PLACES, coco_picture, split_of_coco
from glotclip.data.corpora.layout import Layout, Located, entries, first
from glotclip.data.schema import Row

_PARTS = {"train": "train2014", "val": "val2014"}
_VERSIONS = ("1.2", "1.1", "1.0")


class Stair(Layout):
    """Japanese captions; a row's group is the name of COCO's picture."""

    name = "stair"
    licence = "STAIR Captions: CC BY 4.0; pictures: Flickr's terms"
    needs = "stair_captions_v1.2_train.json and stair_captions_v1.2_val.json"
    picture_places = COCO_PLACES

    def languages(self, folder: Path) -> list[str]:
        """Japanese."""
        return ["ja"] if any(_file(folder, part) for part in _PARTS) else []

    def captions(self, folder: Path, lang: str) -> Iterator[Located]:
        """The annotations of the training file, then of the validation file."""
        splits = split_of_coco((folder, folder.parent, folder.parent / "coco", folder.parent / "MSCOCO"))
        for part, of in _PARTS.items():
            path = _file(folder, part)
            if path is None:
                yield str(folder), None, f"stair_captions_v{_VERSIONS[0]}_{part}.json is not there"
                continue
            official = "train" if part == "train" else "validation"
            for annotation in entries(path, "annotations"):
                number, text = annotation.get("image_id"), annotation.get("caption")
                if not isinstance(number, int) or not isinstance(text, str):
                    yield str(path), None, f"annotation {annotation.get('id')} lacks an image_id or a caption"
                    continue
                picture = coco_picture(number, of)
                split = official if splits is None else splits.get(number)
                if split is None:
                    yield str(path), None, f"picture {number} is in none of Karpathy's splits"
                    continue
                yield str(path), None, Row(text, lang, image=picture, split=split, group=picture.name)


def _file(folder: Path, part: str) -> Path | None:
    return first(folder, (f"stair_captions_v{version}_{part}.json" for version in _VERSIONS))


STAIR = Stair()
