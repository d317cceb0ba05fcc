"""An exported model against the model that it was made of: languages, scripts, long texts, nothing at all."""

from __future__ import annotations

import json
import shutil
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from glotclip.errors import CheckpointError, ConfigError, LanguageError, TruncationWarning
from glotclip.onnx.encoder import OnnxEncoder, normalised
from glotclip.onnx.manifest import FILE

if TYPE_CHECKING:
    from glotclip.packs.polyglot import Polyglot

pytestmark = pytest.mark.slow

TEXTS = {
    "en": ["a red circle", "x", "circles, squares and bars"],
    "de": ["roter Kreis", "grünes Quadrat", "Ａ ﬁ"],
    "ar": ["دائرة حمراء", "مربع", "مربّع أخضر red"],
    "fr": ["cercle rouge", "carré"],
    "hi": ["लाल वृत्त", "हरा"],
}
LONG = "a red circle above a green square beside a blue bar, and so on; " * 4


@pytest.fixture(scope="module")
def encoder(exported: Path) -> OnnxEncoder:
    return OnnxEncoder(exported)


@pytest.mark.parametrize("lang", TEXTS)
def test_texts_of_every_language_have_the_models_features(lang: str, encoder: OnnxEncoder, taught: Polyglot) -> None:
    got = encoder.encode_texts(TEXTS[lang], lang)
    assert got.dtype == np.float32 and got == pytest.approx(taught.encode_texts(TEXTS[lang], lang), abs=1e-5)
    assert np.linalg.norm(got, axis=1) == pytest.approx(1, abs=1e-5)
    plain = taught.encode_texts(TEXTS[lang], "en")
    assert lang == "en" or np.abs(got - plain).max() > 0.01  # the language's own


def test_texts_of_several_languages_at_once(encoder: OnnxEncoder, taught: Polyglot) -> None:
    pairs = [(text, lang) for lang, texts in TEXTS.items() for text in texts]
    texts, langs = [text for text, _ in pairs], [lang for _, lang in pairs]
    assert encoder.encode_texts(texts, langs) == pytest.approx(taught.encode_texts(texts, langs), abs=1e-5)


def test_languages_are_guessed_alike(encoder: OnnxEncoder, taught: Polyglot) -> None:
    texts = [text for texts in TEXTS.values() for text in texts]
    assert encoder.guess(texts) == taught.guess(texts)
    assert encoder.encode_texts(texts, "auto") == pytest.approx(taught.encode_texts(texts, "auto"), abs=1e-5)


@pytest.mark.parametrize("lang", ["en", "ar", "fr"])
@pytest.mark.parametrize("long", ["cut", "mean"])
def test_long_texts(lang: str, long: str, encoder: OnnxEncoder, taught: Polyglot) -> None:
    texts = ["short", LONG, LONG * 3]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        got = encoder.encode_texts(texts, lang, long=long)  # type: ignore[arg-type]
        expected = taught.encode_texts(texts, lang, long=long)  # type: ignore[arg-type]
    assert got == pytest.approx(expected, abs=1e-5)
    said = [str(each.message) for each in caught if issubclass(each.category, TruncationWarning)]
    assert len(said) == (2 if long == "cut" else 0) and len(set(said)) <= 1


def test_images_have_the_models_features(encoder: OnnxEncoder, taught: Polyglot) -> None:
    images = [Image.effect_noise((40, 30 + 7 * n), 80).convert("RGB") for n in range(20)]
    pixels = [encoder.preprocess(image) for image in images]
    assert encoder.encode_images(pixels) == pytest.approx(taught.encode_image(images).numpy(), abs=1e-5)
    assert encoder.image_features(np.stack(pixels)) == pytest.approx(
        taught.image_features(np.stack(pixels)), abs=1e-4
    )


def test_nothing_has_no_features(encoder: OnnxEncoder) -> None:
    assert encoder.encode_texts([], []).shape == encoder.encode_images([]).shape == (0, encoder.dim)
    assert encoder.encode_texts([""], "en").shape == (1, encoder.dim)


def test_what_it_says_of_itself(encoder: OnnxEncoder, taught: Polyglot, exported: Path) -> None:
    assert (encoder.name, encoder.dim) == (taught.base.name, taught.embed_dim)
    assert encoder.fingerprint == taught.base.fingerprint  # whoever indexed with torch is searched with this
    assert encoder.features_key != taught.features_key  # though a cache keeps their last digits apart
    assert set(encoder.languages) == {"en", "de", "ar", "fr", "hi"}
    assert encoder.source == str(exported) and encoder.decode_size == 48
    assert not encoder.reads_translations("de")


def test_wrong_questions(encoder: OnnxEncoder) -> None:
    with pytest.raises(LanguageError, match="'es' is not installed"):
        encoder.encode_texts(["rojo"], "es")
    with pytest.raises(ConfigError, match="2 texts but 1 language"):
        encoder.encode_texts(["a", "b"], ["en"])
    with pytest.raises(ConfigError, match="unknown way with long texts"):
        encoder.encode_texts(["a"], "en", long="fold")  # type: ignore[arg-type]


def test_eight_threads_open_it_once(exported: Path, taught: Polyglot) -> None:
    encoder, found = OnnxEncoder(exported), []
    begin = threading.Barrier(8)

    def ask() -> None:
        begin.wait()
        found.append(encoder.encode_texts(TEXTS["de"], "de"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and all(np.array_equal(each, found[0]) for each in found)


def test_a_folder_that_was_not_copied_whole_is_refused(exported: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(exported, copy)
    graph = copy / "text.onnx"
    whole = graph.read_bytes()
    graph.write_bytes(whole[:-1])
    with pytest.raises(CheckpointError, match=r"text.onnx has .* bytes, not"):
        OnnxEncoder(copy)
    graph.write_bytes(b"?" * len(whole))
    with pytest.raises(CheckpointError, match=r"text.onnx cannot be run"):
        OnnxEncoder(copy).encode_texts(["a"], "en")
    graph.unlink()
    with pytest.raises(CheckpointError, match=r"text.onnx is missing"):
        OnnxEncoder(copy)
    graph.write_bytes(whole)
    (copy / "table.npy").unlink()
    with pytest.raises(CheckpointError, match=r"table.npy is missing"):
        OnnxEncoder(copy).check_language("en")
    content = json.loads((copy / FILE).read_text())
    (copy / FILE).write_text(json.dumps({**content, "preprocess": {"size": 0}}))
    with pytest.raises(CheckpointError, match="no usable preprocessing"):
        OnnxEncoder(copy)


def test_what_has_no_length_stays_zero() -> None:
    assert not normalised(np.zeros((2, 3), np.float32)).any()
