"""COCO-CN (version 201805): Chinese captions written for 20,341 of COCO's images.

Read are the captions that people wrote (``imageid.human-written-caption.txt``), split by the owner's lists of
images. The 5,000 human translations of test captions and Baidu's machine translations are left out, as in MLA's
protocol.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from glotclip.data.corpus_folder import CorpusFolder, Located
from glotclip.data.dataset import register
from glotclip.data.encodings import first_file, read_lines
from glotclip.data.schema import Row
from glotclip.data.sources.karpathy import COCO_PLACES

_CAPTIONS = "imageid.human-written-caption.txt"
_SPLITS = {"train": "train", "val": "validation", "test": "test"}


@register
class CocoCN(CorpusFolder):
    """Chinese captions; a row's group is the name of COCO's image."""

    name = "coco-cn"
    image_places = (*COCO_PLACES, *(f"../{place}" for place in COCO_PLACES))

    def languages(self) -> list[str]:
        """Chinese."""
        return ["zh"] if first_file(self._place(), (_CAPTIONS,)) else []

    def captions(self, lang: str) -> Iterator[Located]:
        """Lines ``IMAGE#NUMBER TAB caption``; a line whose image is in no list is left out and said so."""
        place = self._place()
        split_of: dict[str, str] = {}
        for name, split in _SPLITS.items():
            path = first_file(place, (f"coco-cn_{name}.txt",))
            if path is None:
                yield str(place / f"coco-cn_{name}.txt"), None, "the file is not there"
                continue
            split_of |= dict.fromkeys((line.strip() for line in read_lines(path)), split)
        path = first_file(place, (_CAPTIONS,)) or place / _CAPTIONS
        for number, line in enumerate(read_lines(path), start=1):
            if not line.strip():
                continue
            # Most lines have a tab behind the number, a few a space.
            key, _, text = line.strip().replace("\t", " ", 1).partition(" ")
            image, mark, _ = key.partition("#")
            if not mark or image not in split_of:
                yield str(path), number, f"{key!r} is no image of the lists"
                continue
            where = Path(image.split("_")[1] if "_" in image else "", f"{image}.jpg")
            yield str(path), number, Row(text, lang, image=where, split=split_of[image], group=where.name)

    def _place(self) -> Path:
        inner = sorted(self.path.glob("coco-cn-version*")) if self.path.is_dir() else []
        return next((path for path in inner if first_file(path, (_CAPTIONS,))), self.path)
