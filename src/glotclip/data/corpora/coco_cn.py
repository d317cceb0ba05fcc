"""COCO-CN (version 201805): Chinese captions written for 20,341 of COCO's pictures.

Read are the captions that people wrote (``imageid.human-written-caption.txt``), split by the owner's lists of
pictures. The 5,000 human translations of test captions and Baidu's machine translations are left out, as in MLA's
protocol.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from glotclip.data.corpora.karpathy import COCO_PLACES
from glotclip.data.corpora.layout import Layout, Located, first, lines_of
from glotclip.data.schema import Row

_CAPTIONS = "imageid.human-written-caption.txt"
_SPLITS = {"train": "train", "val": "validation", "test": "test"}


class CocoCN(Layout):
    """Chinese captions; a row's group is the name of COCO's picture."""

    name = "coco-cn"
    licence = "COCO-CN: research use, by request; pictures: Flickr's terms"
    needs = f"coco-cn_train.txt, coco-cn_val.txt, coco-cn_test.txt and {_CAPTIONS}"
    picture_places = (*COCO_PLACES, *(f"../{place}" for place in COCO_PLACES))

    def languages(self, folder: Path) -> list[str]:
        """Chinese."""
        return ["zh"] if first(_place(folder), (_CAPTIONS,)) else []

    def captions(self, folder: Path, lang: str) -> Iterator[Located]:
        """Lines ``PICTURE#NUMBER TAB caption``; a line whose picture is in no list is left out and said so."""
        place = _place(folder)
        split_of: dict[str, str] = {}
        for part, split in _SPLITS.items():
            path = first(place, (f"coco-cn_{part}.txt",))
            if path is None:
                yield str(place / f"coco-cn_{part}.txt"), None, "the file is not there"
                continue
            split_of |= dict.fromkeys((line.strip() for line in lines_of(path)), split)
        path = first(place, (_CAPTIONS,)) or place / _CAPTIONS
        for number, line in enumerate(lines_of(path), start=1):
            if not line.strip():
                continue
            # Most lines have a tab behind the number, a few a space.
            key, _, text = line.strip().replace("\t", " ", 1).partition(" ")
            picture, mark, _ = key.partition("#")
            if not mark or picture not in split_of:
                yield str(path), number, f"{key!r} is no picture of the lists"
                continue
            where = Path(picture.split("_")[1] if "_" in picture else "", f"{picture}.jpg")
            yield str(path), number, Row(text, lang, image=where, split=split_of[picture], group=where.name)


def _place(folder: Path) -> Path:
    inner = sorted(folder.glob("coco-cn-version*")) if folder.is_dir() else []
    return next((path for path in inner if first(path, (_CAPTIONS,))), folder)


COCO_CN = CocoCN()
