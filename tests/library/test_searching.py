"""A library's answers: exact, in stable pages, folded, cut, and without what is hidden."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from tests.library.conftest import CountingEncoder, picture

from glotclip.errors import ConfigError, ImageError, LanguageError
from glotclip.library import searching
from glotclip.library.calibration import Background
from glotclip.library.library import Library
from glotclip.models.calibration import Calibration

if TYPE_CHECKING:
    from tests.conftest import School

    from glotclip.packs.polyglot import Polyglot

ALL: dict[str, Any] = {"min_probability": 0.0, "fold": False}


@pytest.fixture
def full(library: Library, photos: Path, encoder: CountingEncoder) -> Library:
    library.index([photos], encoder=encoder)
    return library


def test_the_order_is_that_of_the_cosines(full: Library, photos: Path, polyglot: Polyglot) -> None:
    found = full.search("a red circle", limit=40, **ALL)
    paths = sorted(photos.rglob("*.png"))
    cosines = (polyglot.encode_text("a red circle") @ polyglot.encode_image(paths).T)[0].numpy()
    by_path = dict(zip(paths, cosines, strict=True))
    scores = [hit.score for hit in found.hits]
    assert scores == sorted(scores, reverse=True)
    np.testing.assert_allclose(scores, [by_path[hit.path] for hit in found.hits], atol=2e-3)
    assert (len(found.hits), found.total, found.more, found.searched, found.lang) == (40, 40, False, 40, "en")


@pytest.mark.parametrize("fold", [True, False])
def test_pages_fit_together(full: Library, fold: bool) -> None:
    whole = full.search("a red circle", limit=40, min_probability=0, fold=fold)
    pages = [
        hit.item
        for offset in range(0, 42, 7)
        for hit in full.search("a red circle", limit=7, offset=offset, min_probability=0, fold=fold).hits
    ]
    assert pages == [hit.item for hit in whole.hits]
    assert full.search("a red circle", limit=7, offset=len(pages), min_probability=0, fold=fold).hits == ()


def test_a_picture_finds_itself_and_its_copies_are_folded(
    full: Library, photos: Path, encoder: CountingEncoder
) -> None:
    picture(photos / "again.jpg", 7, "JPEG", quality=95)
    picture(photos / "large.png", 7, size=(96, 96))
    full.index(encoder=encoder)
    found = full.search(image=photos / "07.png", limit=3, min_probability=0)
    assert found.hits[0].path == photos / "07.png"
    assert found.hits[0].score == pytest.approx(1, abs=2e-3)
    assert (found.lang, found.guess, dict(found.weights)) == (None, None, {})
    alike = {hit.path.name for hit in full.search(image=photos / "07.png", limit=3, **ALL).hits}
    assert alike == {"07.png", "again.jpg", "large.png"}
    assert len(found.hits[0].duplicates) >= 2
    opened = full.search(image=Image.open(photos / "07.png"), limit=1, min_probability=0)
    assert opened.hits[0].item == found.hits[0].item


def test_like_an_item_needs_no_model(full: Library, photos: Path) -> None:
    found = full.search(image=photos / "07.png", limit=40, **ALL)
    with Library(full.path) as other:  # which could not find an encoder
        like = other.search(like=found.hits[0].item, limit=40, **ALL)
        assert [hit.item for hit in like.hits] == [hit.item for hit in found.hits[1:]]
        with pytest.raises(ConfigError, match="no item 999"):
            other.search(like=[999])
        with pytest.raises(ConfigError, match="no encoder"):
            other.search("a", like=found.hits[0].item)
    item = full.items([found.hits[0].item, 999])[found.hits[0].item]
    assert (item.paths, item.kind, item.width, item.dated_by) == ((photos / "07.png",), "image", 24, "file")


def test_duplicates_are_found(full: Library, photos: Path, encoder: CountingEncoder) -> None:
    before = full.duplicates()
    picture(photos / "large.png", 7, size=(96, 96))
    full.index(encoder=encoder)
    (new,) = [group for group in full.duplicates() if group not in before]
    assert {full.items([item])[item].paths[0].name for item in new} >= {"07.png", "large.png"}
    full.hide([new[0]])
    assert all(new[0] not in group for group in full.duplicates())


def test_pushing_away_lowers_what_is_like_it(full: Library, photos: Path) -> None:
    plain = full.search(image=photos / "07.png", limit=40, **ALL)
    pushed = full.search("-blue", image=photos / "07.png", limit=40, **ALL)
    both = full.search(["a", ("blue", 1.0)], image=photos / "07.png", limit=40, **ALL)
    assert [hit.item for hit in plain.hits] != [hit.item for hit in pushed.hits]
    blue = {hit.item: place for place, hit in enumerate(full.search("blue", limit=40, **ALL).hits)}
    top = [np.mean([blue[hit.item] for hit in each.hits[:10]]) for each in (both, plain, pushed)]
    assert top[0] < top[2]


def test_what_is_hidden_or_forgotten_appears_nowhere(full: Library, photos: Path, encoder: CountingEncoder) -> None:
    best = full.search("a", limit=2, **ALL).hits
    hidden, forgotten = best[0].item, best[1].item
    assert full.hide([hidden]) == 1
    assert full.forget([forgotten]) == 1
    found = full.search("a", limit=40, **ALL)
    assert (len(found.hits), found.searched, len(full)) == (38, 38, 38)
    assert not {hidden, forgotten} & {hit.item for hit in found.hits}
    model = full.model()
    _, store = full.view(model)
    assert len(store) == 39  # hidden vectors stay, forgotten ones are gone
    vector = encoder.encode_images([encoder.preprocess(Image.open(best[1].path))])[0].astype(np.float16).tobytes()
    name = best[1].path.name.encode()
    for file in full.path.rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        assert vector not in content
        assert name not in content
    report = full.index(encoder=encoder)
    assert (report.encoded, [Path(each.where) for each in report.skipped]) == (0, [best[1].path])
    picture(best[0].path, 999)  # edited: it stays hidden
    assert full.index(encoder=encoder).encoded == 1
    assert len(full.search("a", limit=40, **ALL).hits) == 38
    hidden_now = [number for (number,) in full.catalogue.rows("SELECT id FROM item WHERE state = 1")]
    assert full.hide(hidden_now, hidden=False) >= 1
    assert len(full.search("a", limit=40, **ALL).hits) == 39


@pytest.mark.parametrize("passed_over", [1000, 4])
@pytest.mark.parametrize("hidden", [0, 1, 5, 20, 39])
def test_however_many_are_hidden_the_others_answer_in_order(
    full: Library, hidden: int, passed_over: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few are passed over when they are met, many are left out of the search: the answer is the same."""
    monkeypatch.setattr("glotclip.library.searching._PASSED_OVER", passed_over)
    whole = [hit.item for hit in full.search("a red circle", limit=40, **ALL).hits]
    full.hide(whole[1 : 1 + hidden])
    kept = [whole[0], *whole[1 + hidden :]]
    found = full.search("a red circle", limit=5, **ALL)
    assert [hit.item for hit in found.hits] == kept[:5]
    assert (found.more, found.searched) == (len(kept) > 5, len(kept))
    assert full.search("a red circle", limit=40, **ALL).total == len(kept)


def test_rows_that_another_process_adds_meanwhile_wait_for_the_next_look(
    full: Library, photos: Path, encoder: CountingEncoder
) -> None:
    """A store has a batch's vectors a moment before the catalogue has their items."""
    before = full.search("a red circle", limit=40, **ALL)
    model = full.model()
    _, store = full.view(model)
    rows = np.arange(90_000, 90_020, dtype=np.int64)
    store.add(rows, np.repeat(encoder.encode_texts(["a red circle"], ["en"]), 20, axis=0))
    store.flush()
    after = full.search("a red circle", limit=40, **ALL)
    assert [hit.item for hit in after.hits] == [hit.item for hit in before.hits]


def test_filters_and_cutoffs(full: Library, photos: Path) -> None:
    inside = full.search("a", folder=photos / "trip", limit=40, **ALL)
    assert (len(inside.hits), inside.searched) == (10, 10)
    assert {hit.path.parent.name for hit in inside.hits} == {"trip"}
    best = full.search("a", limit=40, **ALL).hits
    assert [hit.item for hit in inside.hits] == [hit.item for hit in best if hit.path.parent.name == "trip"]
    limit = best[4].score
    assert len(full.search("a", min_score=limit, limit=40, **ALL).hits) == 5
    none = full.search("a", kind="video", **ALL)
    assert (none.hits, none.note) == ((), "no picture or video passes the filters")
    sure = full.search("a", min_probability=1.0)
    assert (sure.hits, sure.total, sure.cutoff) == ((), 0, 1.0)
    assert sure.note == "none of 40 pictures and videos is a good match"


def test_a_small_library_has_no_cutoff(library: Library, photos: Path, encoder: CountingEncoder) -> None:
    library.index([photos / "trip"], encoder=encoder)
    found = library.search("a", fold=False)
    assert (len(found.hits), found.cutoff) == (10, None)
    assert {(hit.probability, hit.words) for hit in found.hits} == {(None, "not known")}


@pytest.mark.parametrize("means", [Calibration(0.6, 3.9), Calibration(1.6, -0.3)])
def test_what_a_score_means_is_the_bases(
    library: Library, photos: Path, encoder: CountingEncoder, means: Calibration
) -> None:
    """With an encoder, and without one, when it is what the library noted."""
    encoder.calibration = means
    library.index([photos], encoder=encoder)
    view, store = library.view(library.model())
    for query in ({"query": "a red circle", "lang": "en"}, {"like": 3}):
        hits = library.search(**query, fold=False, limit=39, min_probability=0).hits
        asked = encoder.encode_texts(["a red circle"], ["en"])[0] if "query" in query else view.vector(store, 3)
        background = Background.of(view.sample @ asked, 40, means)
        assert background is not None
        assert [hit.probability for hit in hits] == [background.probability(hit.score) for hit in hits]


def test_a_match_stands_out(full: Library, photos: Path, encoder: CountingEncoder) -> None:
    """With vectors drawn at random but for one: it alone is a match, and without it nothing is."""
    model = full.model()
    encoder.calibration = Calibration(0.6, 3.9)  # of a base whose matches stand out
    rng = np.random.default_rng(0)
    asked = encoder.encode_texts(["a red circle"], ["en"])[0]
    with full.changing_store(model) as store:
        rows = store.rows()
        noise = rng.standard_normal((len(rows), model.dim)).astype(np.float32)
        noise -= np.outer(noise @ asked, asked) * 0.9
        noise[5] = 10 * asked
        store.add(rows, noise / np.linalg.norm(noise, axis=1, keepdims=True))
    full.hide([])  # a change, so that vectors are read anew
    found = full.search("a red circle")
    assert (len(found.hits), found.total) == (1, 1)
    assert found.hits[0].words == "very likely"
    full.hide([found.hits[0].item])
    assert full.search("a red circle").hits == ()


@pytest.mark.slow
def test_languages_are_guessed_and_fused_and_may_come_later(
    library: Library, photos: Path, school: School, tmp_path: Path
) -> None:
    from glotclip.packs.pack import write_pack
    from glotclip.packs.polyglot import Polyglot

    library.index([photos], encoder=CountingEncoder(Polyglot(school.base)))
    assert library.search("xyz").guess is not None
    polyglot = Polyglot(school.base, source="taught")
    for code in ("de", "fr", "hi"):
        state = school.teach(None, code, isolation="per-language").state
        write_pack(
            tmp_path / code, state, name=code, method="lexicon", learnt=[code], base=school.base, settings={},
            data={}, scores={},
        )  # fmt: skip
        polyglot.add_pack(tmp_path / code)
    library._find_encoder = lambda source: {"taught": CountingEncoder(polyglot)}[source]
    asked: dict[str, Any] = {"model": "taught", "limit": 40, **ALL}
    hindi = library.search("लाल वृत्त", **asked)
    assert (hindi.lang, hindi.guess is not None, hindi.model) == ("hi", True, "tiny-0")
    given = library.search("rotes Quadrat", lang="de", **asked)
    assert (given.lang, given.guess, dict(given.weights)) == ("de", None, {"de": 1.0})
    unsure = library.search("xyz", **asked)
    assert len(unsure.weights) > 1
    assert sum(unsure.weights.values()) == pytest.approx(1)
    assert len(unsure.hits) == 40
    assert library.search("xyz", **asked).hits == unsure.hits
    with pytest.raises(LanguageError, match="not installed"):
        library.search("moja", lang="sw", **asked)


def test_what_cannot_be_asked(full: Library, photos: Path) -> None:
    for wrong, message in (
        ({"limit": 0}, "no page"), ({"offset": -1}, "no page"), ({"limit": searching.DEEPEST + 1}, "no page"),
        ({"min_probability": 1.5}, "no probability"), ({"model": "photo-clap"}, "no vectors of the model"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=message):
            full.search("a", **wrong)
    with pytest.raises(ImageError, match="does not exist"):
        full.search(image=photos / "nowhere.png")
    (photos / "broken.png").write_bytes(b"x")
    with pytest.raises(ImageError, match="not an image"):
        full.search("a", image=photos / "broken.png")
