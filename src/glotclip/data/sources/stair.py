"""STAIR Captions: five Japanese captions for each image of COCO's train2014 and val2014, in COCO's format.

The captions are no translations. With Karpathy's ``dataset_coco.json`` in the folder, beside it or in a folder
``coco`` beside it, images get his splits, as MLA's protocol wants; without it COCO's own, with ``val2014`` for
validation.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from glotclip.data.corpus_folder import CorpusFolder, Located
from glotclip.data.dataset import register
from glotclip.data.encodings import first_file, read_objects
from glotclip.data.schema import Row
from glotclip.data.sources.karpathy import COCO_PLACES, coco_path, split_of_coco

_SPLITS = {"train": "train", "val": "validation"}
_VERSIONS = ("1.2", "1.1", "1.0")


@register
class Stair(CorpusFolder):
    """Japanese captions; a row's group is the name of COCO's image."""

    name = "stair"
    image_places = COCO_PLACES

    def languages(self) -> list[str]:
        """Japanese."""
        return ["ja"] if any(map(self._file, _SPLITS)) else []

    def captions(self, lang: str) -> Iterator[Located]:
        """The annotations of the training file, then of the validation file."""
        above = self.path.parent
        splits = split_of_coco((self.path, above, above / "coco", above / "MSCOCO"))
        for name, official in _SPLITS.items():
            path = self._file(name)
            if path is None:
                yield str(self.path), None, f"stair_captions_v{_VERSIONS[0]}_{name}.json is not there"
                continue
            for annotation in read_objects(path, "annotations"):
                number, text = annotation.get("image_id"), annotation.get("caption")
                if not isinstance(number, int) or not isinstance(text, str):
                    yield str(path), None, f"annotation {annotation.get('id')} lacks an image_id or a caption"
                    continue
                split = official if splits is None else splits.get(number)
                if split is None:
                    yield str(path), None, f"image {number} is in none of Karpathy's splits"
                    continue
                where = coco_path(f"COCO_{name}2014_{number:012d}.jpg")
                yield str(path), None, Row(text, lang, image=where, split=split, group=where.name)

    def _file(self, name: str) -> Path | None:
        return first_file(self.path, (f"stair_captions_v{version}_{name}.json" for version in _VERSIONS))
