"""Catalogue and store come to agree, whatever each of them lost; what is forgotten is gone from both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.library.conftest import CountingEncoder

from glotclip.library import upkeep
from glotclip.library.library import Library
from glotclip.library.records import rows_of


@pytest.mark.parametrize("lost", [0, 1, 40])
@pytest.mark.parametrize("stray", [0, 3])
def test_both_sides_agree_afterwards(
    library: Library, photos: Path, encoder: CountingEncoder, lost: int, stray: int
) -> None:
    library.index([photos], encoder=encoder)
    model = library.model()
    with library.changing_store(model) as store:
        size = (library.path / model.store_url.partition(":")[2]).stat().st_size
        store.delete(store.rows()[:lost])
        store.add(np.arange(900, 900 + stray, dtype=np.int64), np.full((stray, model.dim), 0.25, np.float32))
        store.flush()
        upkeep.reconcile(library.catalogue, model, store)
        np.testing.assert_array_equal(store.rows(), rows_of(library.catalogue, model))
        assert len(store) == 40 - lost
    if stray:  # what nobody may find is not left on the disk either
        assert (library.path / model.store_url.partition(":")[2]).stat().st_size <= size
    assert library.index(encoder=encoder).encoded == lost
