"""``evaluate``: a self-describing JSON, and tables for people."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Here, World
    from tests.conftest import Film

pytestmark = pytest.mark.slow


def test_scores_stand_where_the_documents_say(world: World, here: Here, extended: Path, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    value = here.json("evaluate", extended, "--benchmark", world.captions, "--langs", "en,de", "--langs", "fr",
                      "--out", file, "--intervals", "50")  # fmt: skip
    assert json.loads(file.read_text(encoding="utf-8")) == value
    assert list(value["languages"]) == ["en", "de", "fr"]
    for scores in value["languages"].values():
        for direction in ("text_to_image", "image_to_text"):
            entry = scores[direction]
            assert 0 <= entry["r@1"] <= entry["r@5"] <= entry["r@10"] <= 100
            assert entry["n_queries"] == 3
            low, high = entry["ci95"]["r@1"]
            assert low <= entry["r@1"] <= high
    assert value["gallery_images"] == 3
    assert value["model"]
    assert set(value) >= {"format", "benchmark", "protocol", "average", "disparity", "environment", "unreadable"}


def test_people_get_a_table(world: World, here: Here, extended: Path) -> None:
    out, _ = here("evaluate", extended, "--benchmark", world.captions, "--intervals", "0")
    assert "gallery of 3 images" in out
    rows = [line.split()[0] for line in out.splitlines() if line[:2] in ("en", "de", "fr")]
    assert rows == ["en", "de", "fr"]


def test_mlas_protocol_is_said_wherever_its_scores_are(world: World, here: Here, extended: Path) -> None:
    asked = ("evaluate", extended, "--benchmark", world.captions, "--intervals", "0")
    assert here.json(*asked)["ranking"] == "karpathy"
    value = here.json(*asked, "--protocol", "mla")
    assert value["ranking"] == "mla"
    assert "protocol mla" in value["protocol"]
    assert "Protocol karpathy, image → text" in " ".join(here(*asked)[0].split())
    assert "Protocol mla, image → text" in " ".join(here(*asked, "--protocol", "mla")[0].split())


def test_an_unknown_protocol_is_refused_before_anything_is_loaded(here: Here) -> None:
    _, said = here("evaluate", "no-such-model", "--protocol", "mlaa", code=2)
    assert "did you mean 'mla'" in said


def test_learning_has_helped(world: World, here: Here, extended: Path) -> None:
    """The scores of the run are those that ``evaluate`` measures on what was written."""
    value = here.json("evaluate", extended, "--benchmark", world.captions, "--intervals", "0")
    recorded = json.loads((extended / "results.json").read_text(encoding="utf-8"))["evaluations"]["fr"]
    for code, scores in recorded.items():
        assert scores["text_to_image"]["n_queries"] == value["languages"][code]["text_to_image"]["n_queries"]
    assert set(recorded) == set(value["languages"])


def test_videos_and_what_is_wrong_with_some(here: Here, extended: Path, film: Film, tmp_path: Path) -> None:
    shades = [(place * 5, 90, 40) for place in range(48)]
    for name in ("whole", "cut", "wrong"):
        film(tmp_path / f"{name}.mkv", shades)
    cut, wrong = tmp_path / "cut.mkv", tmp_path / "wrong.mkv"
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size * 6 // 10])
    content = wrong.read_bytes()
    place = content.index(b"\x44\x89\x88") + 3  # Matroska's Duration
    wrong.write_bytes(content[:place] + struct.pack(">d", 3_600_000.0) + content[place + 8 :])
    (tmp_path / "broken.mp4").write_text("no video")
    lines = [
        {"path": f"{name}", "captions": {"en": [name], "de": [f"Film {name}"]}, "split": "test"}
        for name in ("whole.mkv", "cut.mkv", "wrong.mkv", "broken.mp4", "gone.mp4")
    ]
    (tmp_path / "films.jsonl").write_text("\n".join(map(json.dumps, lines)))
    for _ in range(2):  # from the cache no less is said
        value = here.json("evaluate", extended, "--benchmark", tmp_path / "films.jsonl", "--langs", "en,de")
        assert value["gallery_images"] == 3 and "4 of 5 videos" in value["protocol"]
        assert value["unreadable"] == [str(tmp_path / "broken.mp4")]
        assert value["languages"]["de"]["text_to_image"]["n_queries"] == 3
        skipped = "\n".join(value["skipped"])
        assert len(value["skipped"]) == 4
        assert "films.jsonl:5: the video gone.mp4 is missing" in skipped
        assert "broken.mp4: is not a video" in skipped
        assert "wrong.mkv: its header says 3600.0 s, its frames last 4.0 s" in skipped
        assert "cut.mkv: its header says 4.0 s" in skipped
    out, _ = here("evaluate", extended, "--benchmark", tmp_path / "films.jsonl", "--intervals", "0")
    assert "left out or damaged: 4 rows, images or videos" in out


def test_rivals_and_known_texts(world: World, here: Here, extended: Path, tmp_path: Path) -> None:
    words = tmp_path / "words.csv"
    words.write_text("text,english\nrot,red\nKreis,circle\n", encoding="utf-8")
    what = ("evaluate", extended, "--data", world.captions, "--lang", "de", "--intervals", "0")
    asked = (*what, "--rivals", f"base,dictionary:{words}", "--training-data", world.captions)
    out, _ = here(*asked)
    lines = [line.split() for line in out.splitlines()]
    assert [line[:2] for line in lines if line[:1] in (["en"], ["de"])] == [
        ["en", "English"], ["de", "model"], ["de", "base"], ["de", f"dictionary:{words}"],
    ]  # fmt: skip
    assert "known texts" in out and "as dictionary (de 2)" in " ".join(out.split())
    value = here.json(*asked)
    assert list(value["rivals"]) == ["English", "base", f"dictionary:{words}"]
    complaint = here.error(*asked, "--rivals", "dictionery", code=2)
    assert "did you mean 'dictionary'" in complaint


def test_a_language_the_benchmark_lacks(world: World, here: Here, extended: Path) -> None:
    assert "'sw'" in here.error("evaluate", extended, "--benchmark", world.captions, "--langs", "en,sw", code=2)


def test_a_language_the_model_lacks(world: World, here: Here, extended: Path) -> None:
    complaint = here.error("evaluate", extended, "--benchmark", world.captions, "--langs", "hi", code=2)
    assert "installed: en, de, fr" in complaint


def test_a_benchmark_that_is_not_there(here: Here, extended: Path) -> None:
    assert "did you mean 'emoji'" in here.error("evaluate", extended, "--benchmark", "emojy")


@pytest.mark.slow
def test_texts_that_are_cut_are_counted_once_for_all_languages(
    world: World, here: Here, extended: Path, tmp_path: Path
) -> None:
    long = " ".join(["red circle"] * 20)
    lines = [
        {"image": str(world.pictures / f"{name}.png"), "text": text, "lang": lang, "split": "test"}
        for name, lang, text in (
            ("red-circle", "en", long), ("blue-bar", "en", "blue bar"), ("red-circle", "de", long),
            ("blue-bar", "de", "blauer Balken"),
        )
    ]  # fmt: skip
    benchmark = tmp_path / "long.jsonl"
    benchmark.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    arguments = ("evaluate", extended, "--benchmark", benchmark, "--intervals", "0", "--json")
    out, err = world.run(*arguments)
    assert json.loads(out)["truncated"] == {"en": 1, "de": 1}
    assert err.count("note: 2 of 4 texts (en, de) have more than 24 tokens") == 1
    assert "--long mean" in err
    out, err = world.run(*arguments, "--long", "mean")
    assert json.loads(out)["truncated"] == {}
    assert "read in windows" in json.loads(out)["protocol"]
    assert "note:" not in err
    assert "--long" in here.error(*arguments, "--long", "short", code=2)
