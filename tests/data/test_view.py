"""Views: which text is looked at, by training and test alike, and how many images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.data.benchmark import Benchmark
from glotclip.data.dataset import Dataset
from glotclip.data.schema import Caption, Corpus, Row
from glotclip.data.sources.caption_files import CaptionFiles
from glotclip.data.view import View, ViewedDataset, few_shots, validation
from glotclip.errors import DataError


class Shelf(Dataset):
    """Ten images, each with a caption in English, German and Swahili; Swahili has no machine translations."""

    name = "shelf"

    def languages(self) -> list[str]:
        return ["en", "de", "sw"]

    def corpus(self, langs: Sequence[str]) -> Corpus:
        rows = []
        for n in range(10):
            split, group, english = "test" if n >= 8 else "train", f"p{n}", f"thing {n}"
            rows += [
                Row(english, "en", split=split, group=group),
                Row(f"Ding {n}", "de", english=english, split=split, group=group, to_english=f"mt thing {n}",
                    from_english=f"MT Ding {n}"),
                Row(f"kitu {n}", "sw", english=english, split=split, group=group),
            ]  # fmt: skip
        return Corpus(self.name, tuple(row for row in rows if row.lang in langs))

    def held_out(self, langs: Sequence[str]) -> Benchmark | None:
        rows = [row for row in self.corpus(langs).rows if row.split == "test"]
        captions = {
            code: [Caption(row.text, int(row.text[-1]) - 8) for row in rows if row.lang == code] for code in langs
        }
        return Benchmark("shelf", (Path("a"), Path("b")), captions, protocol="two")


def reversing(texts: Sequence[str], source: str, target: str) -> list[str]:
    return [f"{source}>{target} {text[::-1]}" for text in texts]


def test_the_five_strategies_read_the_rows_they_say() -> None:
    def first(view: View) -> tuple[str, str | None]:
        row = ViewedDataset(Shelf(), view).corpus(["de"]).rows[0]
        return row.text, row.english

    assert first(View()) == ("Ding 0", "thing 0")
    assert first(View(target_text="from-english")) == ("Ding 0", "MT Ding 0")
    assert first(View(text="to-english")) == ("mt thing 0", "thing 0")


def test_what_is_trained_on_is_what_is_tested() -> None:
    dataset = ViewedDataset(Shelf(), View(text="to-english"))
    benchmark = dataset.held_out(["de", "en"])
    assert benchmark is not None
    trained = {row.text for row in dataset.corpus(["de"]).rows if row.split == "test"}
    assert {query.text for query in benchmark.captions["de"]} == trained == {"mt thing 8", "mt thing 9"}
    assert [query.text for query in benchmark.captions["en"]] == ["thing 8", "thing 9"]
    assert "machine-translated into English" in benchmark.protocol


def test_missing_machine_translations_are_named_or_made() -> None:
    view = View(text="to-english", target_text="english")
    with pytest.raises(DataError, match="no machine translations of its sw"):
        ViewedDataset(Shelf(), view).corpus(["sw"])
    with pytest.raises(DataError, match="2 of 2 held-out sw"):
        ViewedDataset(Shelf(), view).held_out(["sw"])
    made = ViewedDataset(Shelf(), view, reversing)
    assert made.corpus(["sw"]).rows[0].text == "sw>en 0 utik"
    assert made.corpus(["de"]).rows[0].text == "mt thing 0"  # what the data brings is not made again
    benchmark = made.held_out(["sw"])
    assert benchmark is not None
    assert benchmark.captions["sw"][0].text == "sw>en 8 utik"
    target_text = ViewedDataset(Shelf(), View(target_text="from-english"), reversing).corpus(["sw"]).rows[0]
    assert target_text.english == "en>sw 0 gniht"


def test_shots_are_the_same_images_in_every_language_and_nest() -> None:
    def images(shots: int, code: str) -> set[str | None]:
        rows = ViewedDataset(Shelf(), View(shots=shots)).corpus(["en", "de"]).rows
        assert {row.group for row in rows if row.split == "test"} == {"p8", "p9"}
        return {row.group for row in rows if row.split == "train" and row.lang == code}

    assert len(images(3, "de")) == 3
    assert images(3, "de") == images(3, "en") < images(5, "de")
    other = few_shots(Shelf().corpus(["de"]).rows, 3, seed=1)
    assert {row.group for row in other if row.split == "train"} != images(3, "de")
    with pytest.raises(DataError, match="there are 8"):
        images(9, "de")


def test_validation_rows_make_a_benchmark_of_their_own(drawn: Path, tmp_path: Path) -> None:
    assert validation(CaptionFiles(drawn), ["de"]) is None
    file = drawn.with_name("validated.csv")
    file.write_text(drawn.read_text(encoding="utf-8").replace(",test\n", ",validation\n"), encoding="utf-8")
    found = validation(CaptionFiles(file), ["de", "fr"])
    assert found is not None
    assert len(found.images) == 3
    assert found.languages == ["de", "fr"]


def test_a_mere_test_set_is_divided_and_its_test_rows_stay_the_same_for_all_shots() -> None:
    class TestSet(Shelf):
        def corpus(self, langs: Sequence[str]) -> Corpus:
            rows = [Row(f"Ding {n}", "de", english=f"thing {n}", split="test", group=f"p{n}") for n in range(100)]
            return Corpus(self.name, tuple(rows))

    def images(shots: int, split: str) -> set[str | None]:
        rows = ViewedDataset(TestSet(), View(shots=shots)).corpus(["de"]).rows
        return {row.group for row in rows if row.split == split}

    assert [len(images(shots, "train")) for shots in (1, 8)] == [1, 8]
    assert images(1, "test") == images(8, "test")
    assert 70 <= len(images(1, "test")) <= 90
    assert not images(8, "test") & (images(8, "train") | images(8, "validation"))


@given(share=st.floats(0.01, 0.8), kept=st.sets(st.integers(0, 59)), shots=st.integers(1, 5), named=st.booleans())
def test_a_split_and_shots_do_not_depend_on_the_languages_asked_for(
    share: float, kept: set[int], shots: int, named: bool
) -> None:
    """A language that some images lack has the others in the splits that they have in all languages."""

    class Mixed(Shelf):
        def corpus(self, langs: Sequence[str]) -> Corpus:
            some = {"en": range(60), "de": sorted(kept)}
            shown = [
                Row(f"{code} {n}", code, image=Path(f"{n}.png"), split="test", group=f"p{n}" if named else None)
                for code in langs
                for n in some[code]
            ]
            return Corpus(self.name, (*shown, Row("Wort", "de", english="word"), Row("Wort 2", "de", english="two")))

    def splits(langs: Sequence[str], view: View) -> dict[Path, str]:
        return {row.image: row.split for row in ViewedDataset(Mixed(), view).corpus(langs).rows if row.image}

    whole, part = splits(["en", "de"], View(train_share=share)), splits(["de"], View(train_share=share))
    assert len(whole) == 60
    assert part == {image: split for image, split in whole.items() if int(image.stem) in kept}
    wanted = {"train": share, "validation": 0.1, "test": 0.9 - share}
    assert all(abs(Counter(whole.values())[name] - 60 * each) <= 22 for name, each in wanted.items())
    rows = [Row(f"{n}", "en", image=Path(f"{n}.png")) for n in range(60)]
    few = {row.image for row in few_shots(rows, shots, 7)}
    fewer = {row.image for row in few_shots([row for row in rows if row.image in few], 1, 7)}
    assert fewer <= few
    assert len(few) == shots
    assert {row.image for row in few_shots([row for row in rows if row.image in few], shots, 7)} == few


def test_no_share_of_images_that_have_a_split_of_their_own(drawn: Path) -> None:
    file = drawn.with_name("learnt.csv")
    file.write_text(drawn.read_text(encoding="utf-8").replace(",test\n", ",train\n"), encoding="utf-8")
    with pytest.raises(DataError, match="is not divided") as caught:
        ViewedDataset(CaptionFiles(file), View(train_share=0.5)).corpus(["de"])
    assert "train_share" in str(caught.value.hint)
