"""The corpora of the field, each read from the folder as its owner lays it out: one file a dataset."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from glotclip.data.corpora.cc3m_uc2 import CC3M_UC2
from glotclip.data.corpora.coco_cn import COCO_CN
from glotclip.data.corpora.karpathy import COCO, FLICKR30K
from glotclip.data.corpora.layout import Layout
from glotclip.data.corpora.mscoco36 import MSCOCO_36
from glotclip.data.corpora.multi30k import MULTI30K
from glotclip.data.corpora.multi30k_task2 import MULTI30K_TASK2
from glotclip.data.corpora.stair import STAIR
from glotclip.data.corpora.xm3600 import XM_3600
from glotclip.data.corpora.xtd10 import XTD
from glotclip.data.schema import Corpus

__all__ = [
    "CC3M_UC2",
    "COCO",
    "COCO_CN",
    "FLICKR30K",
    "LAYOUTS",
    "MSCOCO_36",
    "MULTI30K",
    "MULTI30K_TASK2",
    "STAIR",
    "XM_3600",
    "XTD",
    "Layout",
    "layout_of",
    "recognise",
]

#: All layouts; the first that recognises a folder reads it, so one that also needs another's file comes before it.
LAYOUTS: tuple[Layout, ...] = (
    MSCOCO_36,
    XM_3600,
    XTD,
    MULTI30K,
    MULTI30K_TASK2,
    STAIR,
    COCO_CN,
    CC3M_UC2,
    COCO,
    FLICKR30K,
)


def layout_of(path: Path) -> Layout | None:
    """Return the layout of a folder, or ``None`` if it is none of these."""
    return next((layout for layout in LAYOUTS if layout.recognises(path)), None)


def recognise(path: Path) -> Callable[[Path], Corpus] | None:
    """Return what reads a folder, or ``None`` if its layout is unknown.

    What is returned also takes ``langs``, the languages to open, and ``images``; see :meth:`Layout.read`.
    """
    layout = layout_of(path)
    return None if layout is None else layout.read
