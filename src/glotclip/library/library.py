"""A library: a catalogue and the vectors of one or several models, indexed once and asked in any language."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path

from glotclip.errors import ConfigError, DataError, StorageError, did_you_mean
from glotclip.library import moving, records, scanning, searching, shards, sharing, upkeep
from glotclip.library.answer import Answer
from glotclip.library.catalogue import FILE, Catalogue
from glotclip.library.encoder import Encoder
from glotclip.library.filters import Filters
from glotclip.library.indexing import BATCH, Indexer, Report
from glotclip.library.place import library_path
from glotclip.library.query import Asked, Picture, terms_of
from glotclip.library.records import Item, Model
from glotclip.library.stores import open_store
from glotclip.library.stores.protocol import VectorStore
from glotclip.ownership import Workplace
from glotclip.storage import disk_errors, shown

KIND = "library"
LOCK = ".lock"
PICTURES = "pictures"  # of shards
FindEncoder = Callable[[str], Encoder]


class Library:
    """A library; threads may share one. Open one with :func:`glotclip.open_library`.

    Args:
        path: its folder; see :func:`glotclip.library.place.library_path`.
        find_encoder: loads an encoder by its source, such as a built-in name or a path; called once for each.
        create: whether to make it if it is not there.

    Raises:
        StorageError: if there is none, or what is there is damaged or no library.
    """

    def __init__(
        self, path: str | Path | None = None, *, find_encoder: FindEncoder | None = None, create: bool = False
    ) -> None:
        self.path = library_path(path)
        workplace = Workplace(self.path, KIND)
        if create:
            workplace.check(adopt=(self.path / FILE).is_file(), option="--library")
            with disk_errors(self.path, "--library"):
                self.path.mkdir(parents=True, exist_ok=True)
            workplace.claim()
        self.catalogue = Catalogue(self.path / FILE, create=create)
        self._find_encoder = find_encoder
        self._lock = threading.RLock()
        self._encoders: dict[str, Encoder] = {}
        self._views: dict[int, tuple[searching.View, VectorStore]] = {}

    def __enter__(self) -> Library:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        """How many pictures and videos it shows."""
        return int(self.catalogue.value("SELECT count(*) FROM item WHERE state = ?", (records.SHOWN,)))

    def close(self) -> None:
        """Close its files."""
        with self._lock:
            for _, store in self._views.values():
                store.close()
            self._views.clear()
        self.catalogue.close()

    # --- what it is made of -----------------------------------------------------------------------------------

    @property
    def roots(self) -> list[scanning.Root]:
        """The folders that were indexed."""
        return scanning.known_roots(self.catalogue)

    @property
    def models(self) -> list[Model]:
        """The models that it has vectors of, the one that indexed last first."""
        return records.models(self.catalogue)

    def model(self, name: str | None = None) -> Model:
        """Find a model that the library has vectors of; without a name, the one that indexed last.

        Args:
            name: its name, source or fingerprint; or of a model that has the same image tower, such as one that was
                taught more languages since.

        Raises:
            ConfigError: if the library has no vectors of it, or is empty.
            CheckpointError: if there is no such model.
        """
        known = self.models
        if not known:
            raise ConfigError(f"the library {shown(self.path)} is empty", hint="fill it: `glotclip index DIR`")
        if name is None:
            return known[0]
        for model in known:
            if name in (model.name, model.source, model.fingerprint):
                return model
        fingerprint = self._encoder(name).fingerprint if self._find_encoder else None
        for model in known:
            if model.fingerprint == fingerprint:
                return model
        names = [model.source for model in known]
        raise ConfigError(
            f"the library has no vectors of the model {name!r}",
            hint=f"{did_you_mean(name, names)}it has those of {', '.join(names)}; `glotclip index --model MODEL` "
            "adds another's",
        )

    def add_encoder(self, encoder: Encoder) -> None:
        """Have queries encoded by ``encoder``, for the model whose fingerprint it has."""
        with self._lock:
            self._encoders[encoder.fingerprint] = self._encoders[encoder.source] = encoder

    def encoder(self, model: Model, name: str | None = None) -> Encoder:
        """The encoder of a model, or of that name for the model; loaded when first asked for.

        Raises:
            ConfigError: if the model that is found under this name has changed since.
        """
        if name in (None, model.name, model.source) and model.fingerprint in self._encoders:
            return self._encoders[model.fingerprint]
        found = self._encoder(name if name not in (None, model.name, model.fingerprint) else model.source)
        if found.fingerprint != model.fingerprint:
            raise ConfigError(
                f"the model {found.source!r} is not the one that indexed {shown(self.path)}: its weights "
                "have changed",
                hint=f"`glotclip index --model {found.source}` encodes the library anew",
            )
        return found

    def _encoder(self, source: str | None) -> Encoder:
        with self._lock:
            found = self._encoders.get(source or "")
            if found is None:
                if self._find_encoder is None:
                    raise ConfigError(f"no encoder of the model {source!r} is at hand", hint="give one")
                found = self._encoders[source or ""] = self._find_encoder(source or "")
            return found

    @contextlib.contextmanager
    def changing_store(self, model: Model, *, create: bool = False) -> Iterator[VectorStore]:
        """Open the vectors of a model to change them; readers open them again afterwards."""
        store = open_store(self._address(model), model.dim, create=create)
        try:
            yield store
            store.flush()
        finally:
            store.close()

    def _address(self, model: Model) -> str:
        """A store's URL; that of a file is kept relative to the library, so that the library can be moved."""
        scheme, _, name = model.store_url.partition(":")
        return f"file:{self.path / name}" if scheme == "file" else model.store_url

    def move(
        self, url: str, progress: Callable[[int, int], None] = lambda done, total: None
    ) -> dict[str, moving.Moved]:
        """Move the vectors of all models to another engine; see :func:`glotclip.library.moving.move`.

        Returns:
            By the model's name, where its vectors are now, and how many.
        """
        with self.writing():
            return moving.move(self.catalogue, self.path, url, self._address, progress)

    # --- indexing ---------------------------------------------------------------------------------------------

    def index(
        self,
        folders: Sequence[str | Path] = (),
        *,
        encoder: Encoder,
        exclude: Sequence[str] | None = None,
        batch: int = BATCH,
        threads: int | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Report:
        """Bring the library up to date with some folders, or with all that it is made of.

        Args:
            folders: become part of the library, with all that lies below them; also shards of pictures, tar or
                tables of addresses, which are brought into the library (:mod:`glotclip.library.shards`).
            encoder: the model; a library may have vectors of several.
            exclude: patterns of names, such as ``*.png`` or ``2019/raw/*``, that are left out of these folders now
                and later; None: as it was.
            batch: pictures that are encoded at once.
            threads: that decode; as many as there are cores if not given.
            progress: called with (done, total) files.

        Raises:
            DataError: if one of the folders is none, or the library has none yet.
            StorageError: if the disk refuses, or another process is indexing. What was done is kept.
        """
        with self.writing():
            brought = shards.bring_all(folders, Workplace(self.path, KIND), PICTURES)
            places = self._places(folders, brought, exclude)
            model = self.use(encoder)
            with self.changing_store(model, create=True) as store, sharing.parts(self, model) as parts:
                upkeep.reconcile(self.catalogue, model, store)
                indexer = Indexer(
                    self.catalogue, store, model, encoder, batch=batch, threads=threads, progress=progress,
                    finished=parts.get,
                )  # fmt: skip
                report = indexer.run(scanning.scan(self.catalogue, places))
                parts.remove(None if scanning.cover(places, self.roots) else indexer.contents)
            upkeep.purge(self.catalogue, self.changing_store)
            report.skipped += [item for each in brought for item in each.skipped]
            report.items = len(self)
            return report

    def prepare(self, folders: Sequence[str | Path], encoder: Encoder, exclude: Sequence[str] | None) -> list[Path]:
        """Make folders and a model part of the library, for processes that are about to share the encoding.

        Returns:
            The folders' real paths.

        Raises:
            DataError: as :meth:`index`.
            StorageError: likewise.
        """
        with self.writing():
            Workplace(self.path, KIND).claim_folder(sharing.PARTS)
            places = self._places(folders, shards.bring_all(folders, Workplace(self.path, KIND), PICTURES), exclude)
            self.use(encoder)
            return places

    def part(self, name: str, *, create: bool = False) -> Library:
        """A library inside this one, in which one of several processes keeps what it encodes."""
        return Library(self.path / sharing.PARTS / name, create=create)

    def _places(
        self, folders: Sequence[str | Path], brought: Sequence[shards.Brought], exclude: Sequence[str] | None
    ) -> list[Path]:
        """Make folders part of the library; without any, those that are."""
        plain = [each for each in folders if not shards.is_shard(each)]
        places = scanning.add_roots(self.catalogue, [*plain, *(each.folder for each in brought)], exclude)
        places = places or [root.path for root in self.roots]
        if not places:
            raise DataError("the library has no folder yet", hint="say which: `glotclip index DIR`")
        return places

    def use(self, encoder: Encoder) -> Model:
        """Enter an encoder's model, which is asked from now on where none is named."""
        self.add_encoder(encoder)
        return records.use_model(self.catalogue, encoder, f"file:vectors_{records.short(encoder.fingerprint)}")

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the library against other processes that would change it.

        Raises:
            StorageError: if another one does.
        """
        import filelock

        with disk_errors(self.path, "--library"):
            try:
                with filelock.FileLock(self.path / LOCK, timeout=0):
                    yield
            except filelock.Timeout as error:
                raise StorageError(
                    f"another process is changing the library {shown(self.path)}", hint="wait until it has finished"
                ) from error

    # --- asking -----------------------------------------------------------------------------------------------

    def search(
        self,
        query: Asked | Sequence[Asked] | None = None,
        *,
        image: Picture | Sequence[Picture] | None = None,
        like: int | Sequence[int] = (),
        unlike: int | Sequence[int] = (),
        lang: str | None = None,
        model: str | None = None,
        limit: int = 20,
        offset: int = 0,
        folder: str | Path | None = None,
        after: str | date | None = None,
        before: str | date | None = None,
        near: tuple[float, float, float] | None = None,
        camera: str | None = None,
        kind: str | None = None,
        min_score: float | None = None,
        min_probability: float | None = None,
        fold: bool = True,
    ) -> Answer:
        """Find the pictures and videos that fit a query.

        The result is exact as far as the store is, the same for the same library, and its pages fit together.

        Args:
            query: a text in any language of the model, or several, each maybe with a weight. ``-word`` and
                ``not:"some words"`` push away.
            image: a picture, or several, that hits shall be like; beside a text, both count.
            like: numbers of items that hits shall be like; they are no hits themselves.
            unlike: numbers of items that push away; they are no hits either.
            lang: the texts' language; guessed if not given or "auto".
            model: which of the library's models answers, or a model with the same image tower and more languages; by
                default the one that indexed last.
            limit: hits on a page.
            offset: better hits that are left out.
            folder: only what lies below it.
            after: only what was taken on this day or later: 2021, 2021-07, 2021-07-04.
            before: only what was taken on this day or earlier.
            near: only what was taken near a place: degrees north, degrees east, kilometres.
            camera: only what a camera took whose name holds this.
            kind: image or video.
            min_score: the least cosine of a hit.
            min_probability: the least probability of a hit, from 0 (all are hits) to 1; by default
                :data:`glotclip.library.calibration.CUTOFF`.
            fold: whether of near-duplicates only the best is listed, with the others' numbers.

        Raises:
            ConfigError: if the query is empty, too long, or a filter makes no sense.
            LanguageError: if the language is not installed.
            ImageError: if a picture of the query cannot be read.
        """
        searching.check_page(limit, offset)
        if min_probability is not None and not 0 <= min_probability <= 1:
            raise ConfigError(f"{min_probability} is no probability", hint="give a number from 0 to 1")
        items, others = ([each] if isinstance(each, int) else list(each) for each in (like, unlike))
        terms = terms_of(query, image, items, others)
        chosen = self.model(model)
        encoder = self.encoder(chosen, model) if any(term.is_text or term.is_picture for term in terms) else None
        view, store = self.view(chosen)
        question = searching.ask(encoder, chosen, view, store, terms, lang)
        return searching.answer(
            self.catalogue, store, chosen, view, question,
            Filters(folder, after, before, near, camera, kind),
            limit=limit, offset=offset, min_score=min_score, min_probability=min_probability, fold=fold,
            without=[*items, *others],
        )  # fmt: skip

    def view(self, model: Model) -> tuple[searching.View, VectorStore]:
        """What there is now of a model, and its vectors; read again only after a change."""
        with self._lock:
            found = self._views.get(model.id)
            if found is None or found[0].generation != self.catalogue.generation:
                # The store before is left to whoever still reads it, and closes itself.
                store = open_store(self._address(model), model.dim)
                found = self._views[model.id] = searching.View.of(self.catalogue, store, model), store
            return found

    def items(self, numbers: Sequence[int]) -> dict[int, Item]:
        """What is known of items, by their numbers; those that are not shown are left out."""
        return records.items(self.catalogue, list(numbers))

    def duplicates(self, model: str | None = None) -> list[tuple[int, ...]]:
        """Groups of items that look the same, as hits are folded; in each the oldest number first."""
        view, store = self.view(self.model(model))
        return searching.duplicates(self.catalogue, store, view)

    # --- curating ---------------------------------------------------------------------------------------------

    def hide(self, items: Sequence[int], *, hidden: bool = True) -> int:
        """Hide items, or show them again; hidden ones appear nowhere. Return how many have changed."""
        before, after = (records.SHOWN, records.HIDDEN) if hidden else (records.HIDDEN, records.SHOWN)
        with self.writing(), self.catalogue.changing() as db:
            return sum(
                db.execute(
                    "UPDATE item SET state = ? WHERE id = ? AND state = ?", (after, int(item), before)
                ).rowcount
                for item in items
            )

    def forget(self, items: Sequence[int]) -> int:
        """Remove all that is known of items, their vectors included, and never index their content again.

        Only the digest of the content is kept, so that it can be passed over. Return how many were there.
        """
        with self.writing():
            numbers = [int(item) for item in items]
            with self.catalogue.changing() as db:
                count = sum(
                    db.execute(
                        "UPDATE item SET state = ?, taken = NULL, tz = NULL, dated_by = NULL, lat = NULL, "
                        "lon = NULL, camera = NULL, lens = NULL, w = NULL, h = NULL, duration = NULL, dhash = NULL "
                        "WHERE id = ? AND state != ?",
                        (records.FORGOTTEN, item, records.FORGOTTEN),
                    ).rowcount
                    for item in numbers
                )
            upkeep.drop(self.catalogue, self.changing_store, numbers, records.FORGOTTEN)
            with self.catalogue.errors():
                # SQLite leaves the bytes of deleted rows in the file, and older pages in the log.
                self.catalogue.db.execute("VACUUM")
                self.catalogue.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return count
