"""The gate: what it compares, what it refuses, and that a refusal leaves the folder as it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from glotclip import api
from glotclip.errors import ConfigError, DataError
from glotclip.models.checkpoints import save_base
from glotclip.packs.folder import PolyglotFolder
from glotclip.packs.polyglot import Polyglot
from glotclip.training.callbacks import Callbacks
from glotclip.training.gate import ForgettingError, Gate

if TYPE_CHECKING:
    from glotclip.models.dual_encoder import DualEncoder

pytestmark = pytest.mark.slow

QUICK: dict[str, Any] = {"steps": 3, "batch_size": 4, "vocabulary": 150, "lr": 0.01, "precision": "fp32"}


def scores(**r1: float) -> dict[str, Any]:
    """Scores by language whose mean of both directions is given; the directions differ by 2."""
    return {
        code: {"text_to_image": {"r@1": value - 1}, "image_to_text": {"r@1": value + 1}, "subsets": {}}
        for code, value in r1.items()
    }


def test_it_compares_the_mean_of_both_directions_with_the_first_score() -> None:
    gate = Gate(0.5)
    before = {"start": scores(en=80), "de": scores(en=79.7, de=60)}
    gate.check(["fr"], before, scores(en=79.5, de=61, fr=0))  # exactly what is allowed; the new one has no past
    with pytest.raises(ForgettingError) as refused:
        gate.check(["fr"], before, scores(en=79.4, de=58, fr=0))
    assert "fr is not installed" in refused.value.message
    assert "en 0.60 (80.00 → 79.40), de 2.00 (60.00 → 58.00)" in refused.value.message


@pytest.mark.parametrize("points", [-0.1, float("nan")])
def test_an_impossible_gate(points: float) -> None:
    with pytest.raises(ConfigError, match="0 or more"):
        Gate(points)


def test_what_it_cannot_measure_it_says() -> None:
    with pytest.raises(ConfigError, match="nothing to measure"):
        Gate(1).begin(["en"], {}, touched=False)
    with pytest.raises(DataError, match="cannot measure hi"):
        Gate(1).begin(["en", "hi"], scores(en=1), touched=True)
    Gate(1).begin(["en", "hi"], scores(en=1), touched=False)  # no lesson reaches them


# --- in a folder -------------------------------------------------------------------------------------------------


def fading(*english: float) -> Callable[[Polyglot, Sequence[str]], dict[str, Any]]:
    """An evaluation in which English has these scores, one after another, and all others 50."""
    left = list(english)
    return lambda polyglot, codes: scores(**{**dict.fromkeys(codes, 50.0), "en": left.pop(0)})


@pytest.fixture
def extend(base: DualEncoder, drawn: Path, tmp_path: Path) -> Any:
    """One gated run on the small data, under scores that are given."""
    if not (tmp_path / "base").exists():
        save_base(base, tmp_path / "base")

    def run(langs: str, english: Sequence[float], *, model: Path | None = None, isolation: str = "shared") -> Any:
        extension = api.prepare_extension(
            api.ExtendConfig(
                model=model or tmp_path / "base",
                langs=langs.split(","),
                data=drawn,
                out=tmp_path / "out",
                device="cpu",
                cache=tmp_path / "cache",
                settings={**QUICK, "isolation": isolation},
            )
        )
        return api.run_extension(extension, callbacks=Callbacks(evaluate=fading(*english)), max_forgetting=0.5)

    return run


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, locks apart."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("isolation", ["shared", "per-language"])
def test_a_refused_language_leaves_every_byte(extend: Any, tmp_path: Path, isolation: str) -> None:
    out = tmp_path / "out"
    extend("de", [80, 79.9], isolation=isolation)
    held = tree(out)
    with pytest.raises(ForgettingError):
        extend("fr", [79.9, 79.0], model=out, isolation=isolation)
    assert tree(out) == held
    assert extend("fr", [79.9, 79.8], model=out, isolation=isolation).languages == ("en", "de", "fr")


def test_a_refusal_in_a_new_folder_leaves_none(extend: Any, tmp_path: Path) -> None:
    with pytest.raises(ForgettingError):
        extend("de", [80, 70])
    assert tree(tmp_path / "out") == {}
    assert not PolyglotFolder.is_one(tmp_path / "out")
    extend("fr", [80, 80])


def test_what_passed_before_the_refusal_stays(extend: Any, tmp_path: Path) -> None:
    """Slow loss adds up: each task loses 0.4, and the second is one too many."""
    out = tmp_path / "out"
    with pytest.raises(ForgettingError, match="fr is not installed"):
        extend("de,fr,hi", [80, 79.6, 79.2])
    assert api.load(out).languages == ["en", "de"]
    record = PolyglotFolder(out).read()
    assert record.run is not None
    assert record.run.done == ("de",)
    assert sorted(path.name for path in (out / "packs").iterdir()) == ["shared-1"]
    held = tree(out)
    with pytest.raises(ForgettingError):  # the same command tries the same language again
        extend("de,fr,hi", [79.2])
    assert tree(out).keys() == held.keys()
    assert tree(out)["polyglot.json"] == held["polyglot.json"]
    assert extend("hi", [79.6, 79.6], model=out).languages == ("en", "de", "hi")  # nor is anything unfinished


def test_a_refusal_after_a_kill_still_finds_the_old_state(extend: Any, drawn: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    extend("de", [80, 80])
    held = tree(out)
    extension = api.prepare_extension(
        api.ExtendConfig(
            model=out,
            langs=["fr"],
            data=drawn,
            out=out,
            device="cpu",
            cache=tmp_path / "cache",
            settings={**QUICK, "isolation": "shared"},
        )
    )
    with pytest.raises(KeyboardInterrupt):
        api.run_extension(extension, callbacks=Callbacks(evaluate=fading(80), stop=lambda: True), max_forgetting=0.5)
    assert tree(out) != held  # the run has entered itself into the record
    with pytest.raises(ForgettingError):
        extend("fr", [70], model=out)
    assert tree(out) == held


def test_nothing_evaluated(base: DualEncoder, drawn: Path, tmp_path: Path) -> None:
    save_base(base, tmp_path / "base")
    extension = api.prepare_extension(
        api.ExtendConfig(
            model=tmp_path / "base",
            langs=["de"],
            data=drawn,
            out=tmp_path / "out",
            cache=tmp_path / "cache",
            settings=QUICK,
        )
    )
    with pytest.raises(ConfigError, match="switched off"):
        api.run_extension(extension, benchmark=False, max_forgetting=1)
    assert not (tmp_path / "out").exists()
