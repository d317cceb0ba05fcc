"""``search``: the real command over a folder of drawn pictures."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import glotclip
from glotclip.gallery.fusion import mixture

if TYPE_CHECKING:
    from tests.cli.conftest import Here, World

pytestmark = pytest.mark.slow


@pytest.mark.slow
def test_best_first_with_unreadable_ones_listed(world: World, extended: Path, tmp_path: Path) -> None:
    import shutil

    album = tmp_path / "album"
    shutil.copytree(world.pictures, album)
    (album / "broken.png").write_bytes(b"no picture")
    out, err = world.run("search", extended, "roter Kreis", "--images", album, "--lang", "de", "--top", "4", "--json")
    value = json.loads(out)
    assert (value["lang"], value["lang_guessed"], value["searched"]) == ("de", False, 12)
    scores = [hit["score"] for hit in value["hits"]]
    assert len(scores) == 4
    assert scores == sorted(scores, reverse=True)
    assert all(Path(hit["path"]).is_file() for hit in value["hits"])
    assert [Path(bad["path"]).name for bad in value["unreadable"]] == ["broken.png"]
    assert "“roter Kreis” (de) among 12 images" in err
    assert "1 images could not be read" in err


def test_the_language_is_guessed_and_said(world: World, here: Here, extended: Path) -> None:
    value = here.json("search", extended, "un cercle rouge et un carré vert", "--images", world.pictures)
    assert (value["lang"], value["lang_guessed"], value["lang_sure"]) == ("fr", True, True)
    assert (value["lang_among"], value["lang_weights"]) == (["en", "de", "fr"], {"fr": 1.0})
    out, _ = here("search", extended, "un cercle rouge et un carré vert", "--images", world.pictures, "--top", "1")
    assert "language guessed: fr, among de, en, fr (say it with --lang)" in out


def test_an_unsure_guess_is_said_and_searched_under_all_likely_ones(world: World, here: Here, extended: Path) -> None:
    asked = ("search", extended, "123", "--images", world.pictures)
    value = here.json(*asked)
    assert (value["lang_guessed"], value["lang_sure"]) == (True, False)
    assert value["lang_weights"] == {code: pytest.approx(1 / 3, abs=1e-4) for code in ("en", "de", "fr")}
    model = glotclip.load(extended)
    pictures = sorted(world.pictures.glob("*.png"))
    texts = model.encode_text(["123"] * 3, lang=["en", "de", "fr"])
    cosines = (texts @ model.encode_image(pictures).T).numpy()
    shares = mixture(cosines, [1 / 3] * 3)
    best = int(shares.sum(axis=0).argmax())
    assert value["hits"][0]["path"] == str(pictures[best])
    assert value["hits"][0]["score"] == pytest.approx(cosines[shares[:, best].argmax(), best], abs=1e-4)
    out, _ = here(*asked)
    assert "language not sure, searched under all of these: en 33%, de 33%, fr 33%; among de, en, fr" in out


def test_a_regional_code_is_served_and_said_once(world: World, here: Here, extended: Path) -> None:
    asked = ("search", extended, "roter Kreis", "--images", world.pictures, "--lang")
    _, err = here(*asked, "de-AT")
    assert err.count("note: there is no 'de-AT' here; 'de' is used instead") == 1
    assert here.json(*asked, "de-AT")["hits"] == here.json(*asked, "de")["hits"]
    assert "note" not in here(*asked, "de")[1]


def test_a_guess_needs_no_extra(world: World, here: Here, extended: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "py3langid", None)
    assert here.json("search", extended, "ein grüner Kreis", "--images", world.pictures)["lang"] == "de"


def test_without_a_model_photographs_are_searched(world: World, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glotclip.cli.search.DEFAULT_MODEL", str(world.base))
    asked = ("--images", world.pictures)
    assert here.json("search", "a red circle", *asked) == here.json("search", world.base, "a red circle", *asked)
    for model in ("photo-clip", str(world.base)):  # a model alone is no query
        assert "what to look for" in here.error("search", model, *asked, code=2)
    assert here("search", *asked, code=2)


def test_the_model_may_be_an_option(world: World, here: Here) -> None:
    asked = ("--images", world.pictures)
    expected = here.json("search", world.base, "a red circle", *asked)
    assert here.json("search", "a red circle", "--model", world.base, *asked) == expected
    assert "named twice" in here.error("search", world.base, "a circle", "--model", world.base, *asked, code=2)
    for model in ("owner/name", str(world.base)):
        assert "what to look for" in here.error("search", "--model", model, *asked, code=2)


def test_a_single_language_is_not_guessed(world: World, here: Here) -> None:
    out, _ = here("search", world.base, "a red circle", "--images", world.pictures)
    assert "guessed" not in out


def test_a_language_taught_on_translations_is_asked_in_translations(world: World, here: Here, tmp_path: Path) -> None:
    words = "{'roter':'a red','Kreis':'circle'}"
    program = tmp_path / "engine.py"
    program.write_text(
        f"import sys\nW={words}\nfor line in sys.stdin: print(' '.join(W.get(w, w) for w in line.split()) or '-')\n",
        encoding="utf-8",
    )
    engine = f"command:{sys.executable} {program}"
    here(
        "extend", world.base, "--lang", "de", "--data", world.captions, "--method", "lora", "--out", tmp_path / "out",
        "--set", "text=to-english", "--set", "embedding=base", "--set", "steps=2", "--set", "batch_size=8",
        "--translator", engine,
    )  # fmt: skip
    asked = ("search", tmp_path / "out", "roter Kreis", "--images", world.pictures, "--lang", "de")
    assert "--translator" in here.error(*asked, code=2)
    with_engine = here.json(*asked, "--translator", engine)
    english = "a red circle"
    direct = glotclip.load(tmp_path / "out").encode_text([english], lang="de")
    picture = glotclip.load(tmp_path / "out").encode_image([with_engine["hits"][0]["path"]])
    assert with_engine["hits"][0]["score"] == pytest.approx(float(direct @ picture.T), abs=1e-4)


@pytest.mark.parametrize("query", ["", "  ", "\u200f\u00ad", "\u3164\ufeff"])
def test_a_query_of_nothing_seen_is_refused(world: World, here: Here, extended: Path, query: str) -> None:
    complaint = here.error("search", extended, query, "--images", world.pictures, "--lang", "de", code=2)
    assert "the query is empty" in complaint


@pytest.mark.slow
def test_what_reads_alike_finds_alike_and_a_long_query_is_said(world: World, here: Here, extended: Path) -> None:
    asked = ("search", extended, "--images", world.pictures, "--lang", "de", "--json")
    plain, odd = (
        json.loads(world.run(*asked, query)[0])["hits"]
        for query in ("grüner Kreis", "\u200fgru\u0308ner\u00a0Kre\u00adis")
    )
    assert plain == odd
    long = " ".join(["grüner Kreis"] * 30)
    assert "note: 1 of 1 texts have more than 24 tokens" in world.run(*asked, long)[1]
    assert "note:" not in world.run(*asked, long, "--long", "mean")[1]


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (["--lang", "sw"], 2, "installed: en, de, fr"),
        (["--lang", "klingonisch"], 2, "unknown language code"),
        (["--lang", "de", "--top", "0"], 2, "--top"),
        (["--lang", "de", "--images", "nowhere"], 1, "not a folder"),
    ],
)
def test_what_cannot_be_searched(
    world: World, here: Here, extended: Path, more: list[str], code: int, message: str
) -> None:
    images = [] if "--images" in more else ["--images", str(world.pictures)]
    assert message in here.error("search", extended, "Kreis", *images, *more, code=code)
