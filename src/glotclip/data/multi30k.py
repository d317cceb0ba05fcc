"""Multi30K's former place; see :mod:`glotclip.data.corpora.multi30k`."""

from __future__ import annotations

from glotclip.data.corpora.multi30k import MULTI30K

read = MULTI30K.read
