"""Own data that does not say its splits: what is held out, and that nothing of it is trained on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glotclip.data.dataset import open_dataset
from glotclip.data.holdout import FEWEST, hold_out
from glotclip.data.schema import Corpus, Row
from glotclip.errors import ConfigError, DataError

ROOT = Path("/data")


def written(folder: Path, count: int, *, header: str = "image,text,lang", first: int = 0) -> Path:
    """A table of ``count`` images, each with a text of its own in German and English."""
    lines = [header]
    for n in range(first, first + count):
        (folder / f"{n}.png").write_bytes(f"image {n}".encode())
        lines += [f"{n}.png,Nummer {n},de", f"{n}.png,number {n},en"]
    path = folder / "captions.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def held_in(corpus: Corpus) -> set[str]:
    return {row.image.name for row in corpus.rows if row.split == "test" and row.image is not None}


def test_a_tenth_is_held_out_and_said(tmp_path: Path) -> None:
    dataset = open_dataset(written(tmp_path, 300))
    held = held_in(dataset.corpus(["de"]))
    assert 15 <= len(held) <= 45
    (note,) = (note for note in dataset.notes(["de"]) if "held out" in note)
    assert f"{len(held)} of 300 images" in note
    assert f"{2 * len(held)} of 600 rows" in note
    assert "--hold-out 0.1" in note
    benchmark = dataset.benchmark(["de", "en"])
    assert {path.name for path in benchmark.images} == held
    assert benchmark.gallery == f"captions.csv, split test, {len(held)} images"
    assert "held out by glotclip" in benchmark.protocol


def test_rows_that_come_later_move_no_other(tmp_path: Path) -> None:
    few = held_in(open_dataset(written(tmp_path, 200)).corpus(["de"]))
    many = held_in(open_dataset(written(tmp_path, 400)).corpus(["de"]))
    assert few == {name for name in many if int(name.partition(".")[0]) < 200}
    (tmp_path / "elsewhere").mkdir()
    assert held_in(open_dataset(written(tmp_path / "elsewhere", 200)).corpus(["de"])) == few


def test_shares(tmp_path: Path) -> None:
    path = written(tmp_path, 60)
    assert not held_in(open_dataset(path, hold_out=0).corpus(["de"]))
    assert open_dataset(path, hold_out=0).held_out(["de"]) is None
    assert len(open_dataset(path, hold_out=1).benchmark(["de"]).images) == 60
    with pytest.raises(DataError, match="no images in a split") as caught:
        open_dataset(path, hold_out=0).benchmark(["de"])
    assert "--hold-out" in caught.value.hint
    for share in (-0.1, 1.5, float("nan")):
        with pytest.raises(ConfigError, match="between 0 and 1"):
            open_dataset(path, hold_out=share)


def test_data_that_says_its_splits_stays_as_it_is(tmp_path: Path) -> None:
    path = written(tmp_path, 60, header="image,text,split")
    path.write_text(path.read_text().replace(",de", ",train").replace(",en", ",train"), encoding="utf-8")
    dataset = open_dataset(path, default_lang="de", hold_out=0.3)
    assert not held_in(dataset.corpus(["de"]))
    assert any("--hold-out 0.3 is not used" in note for note in dataset.notes(["de"]))
    assert not any("held out" in note for note in open_dataset(path, default_lang="de").notes(["de"]))


def test_too_few_and_none_with_images_are_said(tmp_path: Path) -> None:
    dataset = open_dataset(written(tmp_path, FEWEST - 1))
    assert dataset.held_out(["de"]) is None
    assert any("nothing is held out" in note and str(FEWEST - 1) in note for note in dataset.notes(["de"]))
    (tmp_path / "texts.csv").write_text("text,lang\n" + "".join(f"Nummer {n},de\n" for n in range(99)))
    assert any("no row has an image" in note for note in open_dataset(tmp_path / "texts.csv").notes(["de"]))


def test_folders_with_sidecars_and_lists_of_videos(tmp_path: Path) -> None:
    shown = tmp_path / "folder"
    shown.mkdir()
    for n in range(50):
        (shown / f"{n}.jpg").write_bytes(str(n).encode())
        (shown / f"{n}.de.txt").write_text(f"Nummer {n}")
    assert open_dataset(shown).held_out(["de"]) is not None
    films = [{"id": str(n), "path": f"{n}.mp4", "captions": {"de": [f"Nummer {n}"]}} for n in range(50)]
    for n in range(50):
        (tmp_path / f"{n}.mp4").write_bytes(str(n).encode())
    (tmp_path / "films.jsonl").write_text("".join(json.dumps(each) + "\n" for each in films))
    dataset = open_dataset(tmp_path / "films.jsonl")
    benchmark = dataset.benchmark(["de"])
    assert benchmark.medium == "video"
    assert 1 <= len(benchmark.images) < 20
    assert f"{len(benchmark.images)} of {len(benchmark.images)} videos" in benchmark.protocol
    assert any("held out" in note for note in dataset.notes(["de"]))
    assert open_dataset(tmp_path / "films.jsonl", hold_out=0).held_out(["de"]) is None


def test_a_copy_of_a_image_is_not_trained_on(tmp_path: Path) -> None:
    path = written(tmp_path, 100)
    lines = path.read_text(encoding="utf-8").splitlines()
    for n in range(100):
        (tmp_path / f"copy-{n}.png").write_bytes((tmp_path / f"{n}.png").read_bytes())
        lines.append(f"copy-{n}.png,Abzug von {n},de")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    held = held_in(open_dataset(path).corpus(["de"]))
    assert held
    assert {name.removeprefix("copy-") for name in held if name.startswith("copy-")} == {
        name for name in held if not name.startswith("copy-")
    }


few = st.integers(0, 30).map(str)
any_rows = st.lists(
    st.builds(
        Row,
        text=few.map(lambda n: f"Text {n}"),
        lang=st.sampled_from(["de", "en", "fr"]),
        image=st.one_of(st.none(), few.map(lambda n: ROOT / f"{n}.png")),
        english=st.one_of(st.none(), few),
        group=st.one_of(st.none(), st.integers(0, 200).map(lambda n: f"g{n}")),
    ),
    max_size=120,
)


@pytest.mark.slow
@settings(max_examples=150)
@given(any_rows, st.floats(0.01, 0.9))
def test_no_image_no_group_and_no_text_is_on_both_sides(rows: list[Row], share: float) -> None:
    corpus = Corpus("rows", tuple(rows), divided=False)
    done = hold_out(corpus, share, ROOT)
    assert len(done.rows) == len(rows)
    sides = [[row for row in done.rows if (row.split == "test") is held] for held in (True, False)]
    for what in (
        lambda row: row.image,
        lambda row: row.group,
        lambda row: (row.lang, row.text),
        lambda row: row.text if row.lang == "en" else row.english,
    ):
        ours, theirs = ({what(row) for row in side} - {None} for side in sides)
        assert not ours & theirs
    assert bool(sides[0]) == ("are held out for testing" in done.notes[0])
    assert done == hold_out(corpus, share, ROOT)
