from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from glotclip.data.dataset import open_catalogued, open_dataset, recognised
from glotclip.data.sources.caption_files import CaptionFiles
from glotclip.data.sources.labelled_photos import LabelledPhotos
from glotclip.errors import DataError, LanguageError

if TYPE_CHECKING:
    from tests.data.conftest import Desk

NAMES = {"n1": (0, "tench"), "n2": (7, "cock"), "n3": (8, "hen")}
LABELS = {
    "EN": {"0": "Tinca tinca"},
    "SIMPLE": {"0": "a fish"},
    "DE": {"8": "Henne", "0": "Schleie"},
    "ZH_YUE": {"7": "雞公"},
    "ALS": {"0": "Schlyyge"},
    "BAT_SMG": {"8": "Vėšta"},
    "X1": {"8": "?"},
}


def lay(desk: Desk, labels: object = LABELS, without: str = "") -> LabelledPhotos:
    photos = [
        {"file": f"images/{wnid}.jpg", "wnid": wnid, "class_index": index, "name": name}
        for wnid, (index, name) in NAMES.items()
    ]
    desk.json("photos.json", photos)
    desk.json("labels.json", labels)
    for wnid in NAMES.keys() - {without}:
        desk.bytes(f"images/{wnid}.jpg")
    return LabelledPhotos(desk.root)


def test_languages_are_named_as_everywhere_else(desk: Desk) -> None:
    assert lay(desk).languages() == ["en", "de", "gsw", "sgs", "yue"]
    assert recognised(desk.root) is LabelledPhotos
    (note,) = LabelledPhotos(desk.root).notes(["de"])
    assert "under X1," in note
    assert lay(desk, {"DE": {}}).notes(["de"]) == ()


def test_rows_are_for_testing_and_know_their_class_name(desk: Desk) -> None:
    corpus = lay(desk).corpus(["de", "en"])
    assert [(row.text, row.english, row.group, row.split) for row in corpus.select(lang="de").rows] == [
        ("Schleie", "tench", "n1", "test"),
        ("Henne", "hen", "n3", "test"),
    ]
    assert [row.text for row in corpus.select(lang="en").rows] == ["tench", "cock", "hen"]  # not those of labels.json
    assert "non-commercial" in corpus.licence


def test_every_language_is_asked_of_all_photographs(desk: Desk) -> None:
    benchmark = lay(desk).benchmark(["de-AT", "yue"])
    assert [path.stem for path in benchmark.images] == ["n1", "n2", "n3"]
    assert {code: [(each.text, each.image) for each in some] for code, some in benchmark.captions.items()} == {
        "de-AT": [("Schleie", 0), ("Henne", 2)],
        "yue": [("雞公", 1)],
    }
    assert "all 3 photographs" in benchmark.protocol
    assert lay(desk).held_out(["sw"]) is None
    with pytest.raises(LanguageError, match="no captions in sw"):
        lay(desk).benchmark(["sw"])


def test_what_cannot_be_used_is_named(desk: Desk) -> None:
    labels = {"DE": {"0": ["Schleie"], "7": "", "8": "Henne", "99": "Wolf"}}
    data = open_dataset(desk.root if lay(desk, labels) else "", max_skipped=0.9)
    corpus = data.corpus(["de"])
    assert [row.text for row in corpus.rows] == ["Henne"]
    reasons = "\n".join(item.reason for item in corpus.skipped)
    assert "class 0 in de is no text: ['Schleie']" in reasons
    assert "'Wolf' in de is of class 99, which has no photograph" in reasons
    assert "the text is empty" in reasons
    with pytest.raises(DataError, match="3 of 4 rows of labelled-photos cannot be used"):
        open_dataset(desk.root).corpus(["de"])


def test_a_photograph_that_is_missing(desk: Desk) -> None:
    corpus = LabelledPhotos(lay(desk, without="n2").path).read(["en"])
    assert [item.reason for item in corpus.skipped] == ["the image images/n2.jpg does not exist"]
    assert [row.text for row in corpus.rows] == ["tench", "hen"]


@pytest.mark.parametrize("labels", [["Schleie"], {"DE": ["Schleie"]}])
def test_labels_of_another_shape(desk: Desk, labels: object) -> None:
    with pytest.raises(DataError, match=r"labels\.json is not an object of objects"):
        lay(desk, labels).languages()


def test_one_file_alone_is_something_else(desk: Desk) -> None:
    desk.json("labels.json", LABELS)
    assert recognised(desk.root) is CaptionFiles


def test_counts(desk: Desk) -> None:
    lay(desk)
    counts = open_catalogued("labelled-photos", desk.root).counts()
    assert (counts["test images en"], counts["test captions de"], counts["image files"]) == (3, 2, 3)
