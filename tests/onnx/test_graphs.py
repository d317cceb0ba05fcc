"""Graphs of every method on CLIP's tower, and of some on the other kinds, against the tower itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from glotclip.errors import ConfigError
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.naflex_tower import NaflexConfig, NaflexTower
from glotclip.models.preprocess import Preprocess
from glotclip.models.text_tower import TextConfig, TextTower
from glotclip.models.vision_tower import VisionConfig, VisionTransformer
from glotclip.onnx import graphs, quantise
from glotclip.onnx.encoder import normalised, open_session, run_images, run_texts
from glotclip.onnx.rows import Rows, TokenTable

if TYPE_CHECKING:
    from tests.conftest import MakeBase

    from glotclip.methods.stack import ModuleStack

pytestmark = pytest.mark.slow

TEXTS = ["rot", "a much longer text than this one here, cut at the context", "x y"]
POOLS = ("dual-prompt", "coda-prompt")


@pytest.fixture(scope="module")
def bases(make_base: MakeBase) -> dict[str, DualEncoder]:
    clip, siglip = make_base(), make_base(causal=False)
    torch.manual_seed(1)
    config = clip.text.config
    centred = TextTower(
        TextConfig(
            width=config.width, layers=2, heads=2, mlp_width=64, vocab_size=config.vocab_size,
            context_length=config.context_length, embed_dim=config.embed_dim, activation="gelu", causal=False,
            pooling="mean", norms="post", projection_bias=True, centred=True,
        )
    )  # fmt: skip
    centred.center.normal_(std=0.1)
    siglip_image = VisionTransformer(
        VisionConfig(
            width=16, layers=1, heads=2, mlp_width=32, image_size=24, patch_size=8, embed_dim=16,
            activation="gelu_tanh", pooling="attention",
        )
    )  # fmt: skip
    return {
        "clip": clip,
        "siglip": DualEncoder("tiny-siglip", siglip.text, siglip_image, clip.tokenizer, clip.preprocess, 14.3),
        "minilm": DualEncoder("tiny-minilm", centred, clip.vision, clip.tokenizer, clip.preprocess, 14.3),
    }


def stack_of(base: DualEncoder, kind: str) -> ModuleStack:
    """The stack of one stirred module, as a pack keeps it."""
    from glotclip.methods.method import method_named
    from glotclip.methods.task import TrainingTask

    method = method_named(kind)
    small: dict[str, Any] = {
        "bottleneck": 4, "reduction": 4, "rank": 2, "targets": ("q", "v", "up", "down"), "length": 2, "expert": 2,
        "general_blocks": (0,), "expert_blocks": (1,), "components": 2, "blocks": (0, 1), "vocabulary": 0,
    }  # fmt: skip
    values = method.expanded({name: value for name, value in small.items() if name in method.setting_names()})
    values |= {"isolation": "shared"} if kind in POOLS else {}
    own = {name: value for name, value in values.items() if name in method.settings.model_fields}
    settings = method.settings.model_validate(own)
    task = TrainingTask(base, None, {"de": ("roter Kreis", "grünes Quadrat", "blauer Balken")}, seed=3)
    task.prepare(method.modules(settings), settings)
    with torch.no_grad():
        for group in task.groups:
            for weight in group.parameters:
                weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)) * 0.1)
    return task.finish(1.0).stack("de")


def features(base: DualEncoder, stack: ModuleStack | None, folder: Path, *, int8: bool = False) -> np.ndarray:
    """What the graph gives for the texts, in batches of three and of one."""
    hooks = None if stack is None else stack.merged(base.text)
    raw, path, small = folder / "raw.onnx", folder / "graph.onnx", folder / "small.onnx"
    graphs.write_text_graph(base, hooks, raw)
    quantise.fold(raw, path)
    if int8:
        quantise.quantise(path, small)
        assert small.stat().st_size < path.stat().st_size
    session = open_session(small if int8 else path)
    tokens = base.tokenizer.encode(TEXTS)
    table = TokenTable(Rows(graphs.table_of(base.text, hooks, base.tokenizer.vocab_size).numpy()))
    padded = None if base.text.trims else base.text.config.context_length
    together = run_texts(session, table, tokens, base.tokenizer.pad_id, padded)
    alone = [run_texts(session, table, base.tokenizer.encode([t]), base.tokenizer.pad_id, padded) for t in TEXTS]
    assert normalised(np.concatenate(alone)) == pytest.approx(normalised(together), abs=0.05 if int8 else 1e-5)
    return normalised(together)


@pytest.mark.parametrize("name", ["clip", "siglip", "minilm"])
def test_the_base_itself(name: str, bases: dict[str, DualEncoder], tmp_path: Path) -> None:
    base = bases[name]
    expected = normalised(base.encode_tokens(base.tokenizer.encode(TEXTS)).numpy())
    assert features(base, None, tmp_path) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(("clip", kind) for kind in (
            "acquirer", "adapter", "compacter", "lora", "soft-prompt", "prefix", "full", "lexicon", *POOLS
        )),
        ("siglip", "soft-prompt"), ("siglip", "acquirer"), ("minilm", "soft-prompt"), ("minilm", "lora"),
    ],
)  # fmt: skip
def test_every_method_can_be_exported(name: str, kind: str, bases: dict[str, DualEncoder], tmp_path: Path) -> None:
    base = bases[name]
    stack = stack_of(base, kind)
    tokens = base.tokenizer.encode(TEXTS)
    expected = normalised(base.encode_tokens(tokens, stack).numpy())
    assert np.abs(expected - normalised(base.encode_tokens(tokens).numpy())).max() > 0.001
    assert features(base, stack, tmp_path) == pytest.approx(expected, abs=1e-5)


def test_the_maps_around_quick_gelu_are_quantised(bases: dict[str, DualEncoder], tmp_path: Path) -> None:
    """Their factors are in the weights: as factors of a product they would keep full precision."""
    import onnx

    base = bases["clip"]
    expected = normalised(base.encode_tokens(base.tokenizer.encode(TEXTS)).numpy())
    got = features(base, None, tmp_path, int8=True)
    assert (got * expected).sum(axis=1).min() > 0.99
    kinds = [node.op_type for node in onnx.load(tmp_path / "small.onnx").graph.node]
    assert kinds.count("MatMulInteger") >= 4 * base.text.config.layers
    assert "Gemm" not in kinds


def test_graphs_tell_nothing_of_the_machine_they_were_made_on(bases: dict[str, DualEncoder], tmp_path: Path) -> None:
    features(bases["clip"], None, tmp_path)
    content = (tmp_path / "graph.onnx").read_bytes()
    assert b"site-packages" not in content and b'File "' not in content


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_image_towers(name: str, bases: dict[str, DualEncoder], tmp_path: Path) -> None:
    base = bases[name]
    pixels = np.random.default_rng(0).standard_normal((5, 3, 24, 24)).astype(np.float32)
    graphs.write_image_graph(base, tmp_path / "raw.onnx")
    quantise.fold(tmp_path / "raw.onnx", tmp_path / "image.onnx")
    session = open_session(tmp_path / "image.onnx")
    expected = normalised(base.encode_pixels(pixels).numpy())
    for count in (5, 1):
        assert normalised(run_images(session, pixels[:count])) == pytest.approx(expected[:count], abs=1e-5)


def test_a_tower_of_images_of_any_shape_is_refused(bases: dict[str, DualEncoder], tmp_path: Path) -> None:
    clip = bases["clip"]
    tower = NaflexTower(NaflexConfig(width=16, layers=1, heads=2, mlp_width=32, patch_size=4, patches=16))
    preprocess = Preprocess(size=4, resize="patches", patches=16)
    base = DualEncoder("tiny-naflex", clip.text, tower, clip.tokenizer, preprocess, 14.3)
    with pytest.raises(ConfigError, match="reads images of any shape"):
        graphs.write_image_graph(base, tmp_path / "image.onnx")
