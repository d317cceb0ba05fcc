"""Keeping catalogue and stores of a library at one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import numpy as np

from glotclip.library import records
from glotclip.library.catalogue import Catalogue
from glotclip.library.records import Model
from glotclip.library.stores.protocol import VectorStore

ChangeStore = Callable[[Model], AbstractContextManager[VectorStore]]


def reconcile(catalogue: Catalogue, model: Model, store: VectorStore) -> None:
    """Undo what a kill left between catalogue and store: rows that only one of the two knows.

    Vectors that the catalogue does not know are removed; items that lost a vector are to be encoded anew.
    """
    lost = np.setdiff1d(records.rows_of(catalogue, model), store.rows(), assume_unique=True)
    if len(lost):
        with catalogue.changing() as db:
            for row in lost.tolist():  # all of the item's rows: it is encoded as a whole
                db.execute(
                    "DELETE FROM vec WHERE model = ? AND item = (SELECT item FROM vec WHERE row = ?)", (model.id, row)
                )
    stray = np.setdiff1d(store.rows(), records.rows_of(catalogue, model), assume_unique=True)
    if len(stray):
        store.delete(stray)
        store.compact()
        store.flush()


def purge(catalogue: Catalogue, change: ChangeStore) -> None:
    """Forget items that no file has any more: their vectors, and unless they are hidden, all that is known."""
    orphans = [
        number
        for (number,) in catalogue.rows(
            "SELECT id FROM item WHERE NOT EXISTS (SELECT 1 FROM file WHERE file.item = item.id AND motion = 0)"
            " AND (state = ? OR EXISTS (SELECT 1 FROM vec WHERE vec.item = item.id))",
            (records.SHOWN,),
        )
    ]
    if orphans:
        drop(catalogue, change, orphans, records.HIDDEN)


def drop(catalogue: Catalogue, change: ChangeStore, items: Sequence[int], keep: int) -> None:
    """Remove the vectors of items for good, and the items themselves below the state ``keep``.

    The catalogue comes first: what a kill leaves in a store is found by nobody, and :func:`reconcile` removes it.
    """
    with catalogue.changing() as db:
        rows = records.drop_vectors(db, items)
        for item in items:
            db.execute("DELETE FROM file WHERE item = ? AND (motion = 1 OR ? > ?)", (item, keep, records.HIDDEN))
            db.execute("DELETE FROM item WHERE id = ? AND state < ?", (item, keep))
    for model in records.models(catalogue):
        if model.id in rows:
            with change(model) as store:
                store.delete(rows[model.id])
                store.compact()
