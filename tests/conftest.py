"""What several folders of tests share: a base of a few thousand weights, captions, and one short task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pytest
from hypothesis import settings as hypothesis_settings

from glotclip import threads

threads.choose()  # as the command line does, before anything loads torch
# A slow machine is no failing test.
hypothesis_settings.register_profile("glotclip", deadline=None)
hypothesis_settings.load_profile("glotclip")

if TYPE_CHECKING:
    from glotclip.methods.stack import PackState
    from glotclip.models.dual_encoder import DualEncoder
    from glotclip.packs.polyglot import Polyglot
    from glotclip.training.captions import Captions
    from glotclip.training.curriculum import Curriculum
    from glotclip.training.trainer import FitResult

COLOURS = {"red": (220, 30, 30), "green": (30, 180, 40), "blue": (40, 60, 220), "black": (0, 0, 0)}
SHAPES = ("circle", "square", "bar")
_ENGLISH = (*COLOURS, *SHAPES)
WORDS = {
    "en": dict(zip(_ENGLISH, _ENGLISH, strict=True)),
    "de": dict(zip(_ENGLISH, ("rot", "grün", "blau", "schwarz", "Kreis", "Quadrat", "Balken"), strict=True)),
    "fr": dict(zip(_ENGLISH, ("rouge", "vert", "bleu", "noir", "cercle", "carré", "barre"), strict=True)),
    "hi": dict(zip(_ENGLISH, ("लाल", "हरा", "नीला", "काला", "वृत्त", "वर्ग", "पट्टी"), strict=True)),
}
CONTEXT = 24


class MakeBase(Protocol):
    """Makes a tiny base: random weights, the same for the same seed."""

    def __call__(self, seed: int = 0, *, causal: bool = True) -> DualEncoder: ...


@dataclass(frozen=True)
class Taught:
    """What one task gave."""

    state: PackState
    result: FitResult


@dataclass(frozen=True)
class School:
    """A base, captions with random targets, and a way to teach one task."""

    base: DualEncoder
    captions: Mapping[str, Captions]
    settings: Mapping[str, Any] = field(
        default_factory=lambda: {"steps": 12, "batch_size": 8, "lr": 0.01, "vocabulary": 150, "precision": "fp32"}
    )

    def curriculum(self, *tasks: tuple[str, ...], **settings: Any) -> Curriculum:
        """The lexicon method over these tasks."""
        from glotclip.config import settings_from
        from glotclip.methods.method import method_named
        from glotclip.training.curriculum import Curriculum
        from glotclip.training.settings import TrainSettings

        method = method_named("lexicon")
        values = method.expanded({**self.settings, **settings})
        loop = {name: value for name, value in values.items() if name in TrainSettings.model_fields}
        own = {name: value for name, value in values.items() if name not in loop}
        return Curriculum(
            method,
            settings_from(method.settings, own, where="test"),
            settings_from(TrainSettings, loop, where="test"),
            tasks,
            loop["precision"],
        )

    def teach(
        self, state: PackState | None, *task: str, fitting: Mapping[str, Any] | None = None, **settings: Any
    ) -> Taught:
        """Teach one task on top of ``state`` with the loop that everybody uses."""
        from glotclip.training.parallel import World
        from glotclip.training.task_data import TaskDataLoader
        from glotclip.training.task_module import TaskModule
        from glotclip.training.trainer import Trainer

        curriculum = self.curriculum(task, **settings)
        prepared = curriculum.prepare(self.base, state, task, self.captions)
        steps = curriculum.train.total_steps(curriculum.examples(task, self.captions))
        captions = {code: self.captions[code] for code in task}
        loader = TaskDataLoader(prepared, captions, curriculum.train, steps, device=self.base.device, world=World())
        module = TaskModule(self.base, prepared, curriculum.method_settings, curriculum.precision)
        precision = curriculum.precision
        result = Trainer(module, loader, steps, curriculum.train, precision=precision, **(fitting or {})).fit()
        return Taught(prepared.finish(result.decay), result)


def make_tiny_base(seed: int = 0, *, causal: bool = True) -> DualEncoder:
    """Make a random dual encoder whose vocabulary is the 256 bytes, inside a word and at its end."""
    import torch

    from glotclip.models import bpe
    from glotclip.models.dual_encoder import DualEncoder
    from glotclip.models.preprocess import Preprocess
    from glotclip.models.text_tower import TextConfig, TextTower
    from glotclip.models.tokenizer import ClipTokenizer
    from glotclip.models.vision_tower import VisionConfig, VisionTransformer

    torch.manual_seed(seed)
    letters = list(bpe.byte_characters().values())
    tokens = [*letters, *(letter + bpe.END_OF_WORD for letter in letters), bpe.START, bpe.END]
    tokenizer = ClipTokenizer({token: place for place, token in enumerate(tokens)}, [], context_length=CONTEXT)
    text = TextTower(
        TextConfig(
            width=32, layers=2, heads=2, mlp_width=64, vocab_size=len(tokens), context_length=CONTEXT, embed_dim=16,
            causal=causal, pooling="eot" if causal else "last",
        )
    )  # fmt: skip
    vision = VisionTransformer(
        VisionConfig(width=32, layers=1, heads=2, mlp_width=64, image_size=24, patch_size=8, embed_dim=16)
    )
    return DualEncoder(f"tiny-{seed}", text, vision, tokenizer, Preprocess(size=24), 14.3)


def caption_texts(code: str) -> list[str]:
    """Twelve captions of a language, in the same order in all of them."""
    words = WORDS[code]
    article = {"en": "a "}.get(code, "")
    return [f"{article}{words[colour]} {words[shape]}" for colour in COLOURS for shape in SHAPES]


def random_captions(texts: Sequence[str], *, embed: int = 16, seed: int = 0) -> Captions:
    """Captions with random targets; two neighbours show one picture, and some lack a target."""
    from glotclip.data.features import Features
    from glotclip.training.captions import Captions

    rng = np.random.default_rng(seed)
    count = len(texts)
    every = np.arange(count, dtype=np.int64)
    english = Features(rng.standard_normal((count, embed), dtype=np.float32), np.where(every % 5 == 4, -1, every))
    images = Features(rng.standard_normal((count, embed), dtype=np.float32), np.where(every % 6 == 3, -1, every // 2))
    return Captions(tuple(texts), english, images, every // 2, {"name": "drawn", "licence": "CC0", "captions": count})


@pytest.fixture(scope="session", autouse=True)
def _few_threads() -> None:
    """Tiny models run slower on many threads, and sums split by threads differ in their last bits."""
    import torch

    torch.set_num_threads(min(2, torch.get_num_threads()))


@pytest.fixture(scope="session")
def make_base() -> MakeBase:
    """The function that makes tiny bases."""
    return make_tiny_base


@pytest.fixture(scope="session")
def base() -> DualEncoder:
    """One tiny base; it is frozen, so all tests may use it."""
    return make_tiny_base()


@pytest.fixture(scope="session")
def school(base: DualEncoder) -> School:
    """The base with captions in English, German, French and Hindi."""
    return School(base, {code: random_captions(caption_texts(code), seed=place) for place, code in enumerate(WORDS)})


@pytest.fixture(scope="session")
def draw() -> Callable[[Path, str, str], None]:
    """The function that draws one picture."""
    return draw_shape


def draw_shape(path: Path, colour: str, shape: str) -> None:
    """Draw a coloured shape on white."""
    from PIL import Image, ImageDraw

    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (24, 24), "white")
    pen = ImageDraw.Draw(image)
    if shape == "circle":
        pen.ellipse((3, 3, 20, 20), COLOURS[colour])
    else:
        pen.rectangle((3, 3, 20, 20) if shape == "square" else (3, 10, 20, 14), COLOURS[colour])
    image.save(path)


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A caption file in four languages with twelve drawn pictures; a quarter is of split "test"."""
    root = tmp_path_factory.mktemp("drawn")
    lines = ["image,lang,text,english,split\n"]
    english = caption_texts("en")
    for place, (colour, shape) in enumerate((c, s) for c in COLOURS for s in SHAPES):
        draw_shape(root / "pictures" / f"{colour}-{shape}.png", colour, shape)
        split = "test" if place % 4 == 3 else "train"
        lines += [
            f"pictures/{colour}-{shape}.png,{code},{caption_texts(code)[place]},{english[place]},{split}\n"
            for code in WORDS
        ]
    (root / "captions.csv").write_text("".join(lines), encoding="utf-8")
    return root / "captions.csv"


class Film(Protocol):
    """Writes a video of plain frames, one a grey shade, and returns its path."""

    def __call__(
        self,
        path: Path,
        shades: Sequence[int | tuple[int, int, int]],
        *,
        codec: str = "libx264",
        rate: int = 12,
        times: Sequence[int] | None = None,
        size: tuple[int, int] = (64, 64),
        options: Mapping[str, str] | None = None,
    ) -> Path: ...


@pytest.fixture(scope="session")
def film() -> Film:
    """The function that writes a video."""
    return write_film


def write_film(
    path: Path,
    shades: Sequence[int | tuple[int, int, int]],
    *,
    codec: str = "libx264",
    rate: int = 12,
    times: Sequence[int] | None = None,
    size: tuple[int, int] = (64, 64),
    options: Mapping[str, str] | None = None,
) -> Path:
    """Write a video; ``times`` are milliseconds, one a frame, for a varying frame rate."""
    from fractions import Fraction

    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=dict(options or {})) as container:
        stream: Any = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for place, shade in enumerate(shades):
            pixels = np.empty((size[1], size[0], 3), np.uint8)
            pixels[:] = shade
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = place if times is None else times[place]
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


EXPORTED = ("en", "de", "ar", "fr", "hi")  # the base's, rows of the table twice, an acquirer, LoRA


@pytest.fixture(scope="session")
def taught(base: DualEncoder, tmp_path_factory: pytest.TempPathFactory) -> Polyglot:
    """The base with packs of three kinds, their weights drawn: rows of the token table, an acquirer, LoRA."""
    import torch

    from glotclip.methods.acquirer import Acquirer
    from glotclip.methods.lexicon import Lexicon
    from glotclip.methods.lora import Lora
    from glotclip.methods.stack import PackState
    from glotclip.models.bpe import learn
    from glotclip.models.tokenizer import ClipTokenizer
    from glotclip.packs.glossary import Glossary
    from glotclip.packs.language_profile import Profile
    from glotclip.packs.pack import LanguagePack, write_pack
    from glotclip.packs.polyglot import Polyglot

    glossaries = {
        "fr": Glossary.of("fr", [("cercle", "circle"), ("rouge", "red"), ("carré", "square")], 9),
        "hi": Glossary.of("hi", [("हरा", "green")], 9),
    }
    root, text = tmp_path_factory.mktemp("taught"), base.text.config
    generator = torch.Generator().manual_seed(5)
    words = {"de": caption_texts("de"), "ar": ["دائرة حمراء", "مربع أخضر", "شريط أزرق"], "fr": [], "hi": []}
    packs = []
    for code, texts in words.items():
        tokenizer = base.tokenizer
        assert isinstance(tokenizer, ClipTokenizer)
        if texts:
            tokenizer = tokenizer.extended(learn(texts, 600))
            ids = torch.arange(tokenizer.vocab_size)[::2]
            rows = torch.randn(len(ids), text.width, generator=generator) * 0.1
            module: Any = Lexicon(ids, rows, tokenizer.vocab_size)
        elif code == "fr":
            module = Acquirer(text, Acquirer.Config(bottleneck=6))
        else:
            module = Lora(text, Lora.Config(targets=("q", "v", "up", "down"), rank=3))
        if not texts:
            with torch.no_grad():
                for parameter in module.parameters():
                    parameter.normal_(std=0.1, generator=generator)
        state = PackState((code,), tokenizer, {code: (module.requires_grad_(False),)})
        profiles = {code: Profile.learn(texts or caption_texts(code))}
        write_pack(
            root / code, state, name=code, method="drawn", learnt=[code], base=base, settings={}, data={}, scores={},
            profiles=profiles, text_forms={code: "unicode-1"}, glossary=glossaries.get(code),
        )  # fmt: skip
        packs.append(LanguagePack.load(root / code, base))
    return Polyglot(base, packs)


@pytest.fixture(scope="session")
def exported(taught: Polyglot, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model :func:`taught`, exported in full precision; for slow tests."""
    from glotclip.onnx.export import export

    folder = tmp_path_factory.mktemp("exported") / "model"
    export(taught, folder, precision="fp32")
    return folder
