"""A program that behaves like Apertium, and models of a few thousand weights that can translate twelve captions."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

COLOURS = {"red": "rojo", "green": "verde", "blue": "azul", "black": "negro"}
SHAPES = {"circle": "círculo", "square": "cuadrado", "bar": "balón"}
ENGLISH = [f"a {colour} {shape}" for colour in COLOURS for shape in SHAPES]
SPANISH = [f"un {spanish} {COLOURS[colour]}" for colour in COLOURS for spanish in SHAPES.values()]

#: Words become word+target, and neighbours change places, over the ends of lines too: an empty line alone is a
#: boundary. "mute" has no translation, "odd" gets a mark, and "glue" eats the boundary behind it.
_APERTIUM = """#!{python}
import pathlib, sys
arguments = sys.argv[1:]
with pathlib.Path(__file__).with_suffix(".log").open("a") as log:
    print(*arguments, file=log)
if arguments == ["-V"]:
    print("Apertium 9.9.9")
elif arguments == ["-l"]:
    print("  eng-cat\\n  eng-cat_reform2017\\n  cat-fra\\n  eng-por_BR\\n  spa-eng")
else:
    hide, mode = arguments
    assert hide == "-u"
    target = mode.split("-")[1]

    def words(line):
        return [("#" if word == "odd" else "") + word + "+" + target for word in line if word != "mute"]

    def paragraph(text):
        lengths = [len(line.split()) for line in text.split("\\n")]
        line = text.split()
        for place in range(0, len(line) - 1, 2):
            line[place : place + 2] = reversed(line[place : place + 2])
        lines = []
        for length in lengths:
            lines.append(" ".join(words(line[:length])))
            line = line[length:]
        return "\\n".join(lines)

    text = sys.stdin.read()
    made = [paragraph(part) for part in text.split("\\n\\n")]
    for part in made[:-1]:
        sys.stdout.write(part + ("\\n" if "glue" in part else "\\n\\n"))
    sys.stdout.write(made[-1])
"""


@dataclass(frozen=True)
class FakeApertium:
    """Where the program lies, and what it was asked."""

    program: Path

    @property
    def calls(self) -> list[str]:
        """The arguments of every call so far."""
        return self.program.with_suffix(".log").read_text(encoding="utf-8").splitlines()


@dataclass(frozen=True)
class Models:
    """Folders of models that translate ``english`` into ``spanish``."""

    english: list[str]
    spanish: list[str]
    marian: Path
    m2m: Path
    nllb: Path


@pytest.fixture
def fake_apertium(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeApertium:
    """An ``apertium`` on the PATH, before any real one."""
    program = tmp_path / "bin" / "apertium"
    program.parent.mkdir()
    program.write_text(_APERTIUM.replace("{python}", sys.executable), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    return FakeApertium(program)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """Three kinds of models, each trained for a second."""
    root = tmp_path_factory.mktemp("models")
    return Models(ENGLISH, SPANISH, _marian(root / "marian"), _m2m(root / "m2m"), _nllb(root / "nllb"))


def _pieces(texts: Sequence[str], path: Path) -> list[str]:
    """Train a SentencePiece model; return its pieces without the special ones."""
    import sentencepiece

    with path.open("wb") as stream:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(list(texts) * 20), model_writer=stream, vocab_size=60, hard_vocab_limit=False,
            character_coverage=1.0, minloglevel=2,
        )  # fmt: skip
    model = sentencepiece.SentencePieceProcessor(model_file=str(path))
    return [model.id_to_piece(place) for place in range(3, model.get_piece_size())]


def _sizes(vocabulary: int) -> dict[str, Any]:
    both = {"layers": 1, "attention_heads": 2, "ffn_dim": 64, "layerdrop": 0.0}
    of_each = {f"{side}_{name}": value for side in ("encoder", "decoder") for name, value in both.items()}
    return {**of_each, "vocab_size": vocabulary, "d_model": 32, "max_position_embeddings": 512, "dropout": 0.0}


def _fit(model: Any, tokenizer: Any, folder: Path, steps: int) -> Path:
    """Teach a model the captions, and save it with its tokenizer."""
    import torch

    texts = tokenizer(ENGLISH, return_tensors="pt", padding=True)
    labels = tokenizer(text_target=SPANISH, return_tensors="pt", padding=True).input_ids
    labels[labels == tokenizer.pad_token_id] = -100
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, total_iters=steps)
    for _ in range(steps):
        loss = model(**texts, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        # Decoding starts from the padding's row, which is zero in real Marian models; converters rely on it.
        model.get_input_embeddings().weight.data[tokenizer.pad_token_id] = 0
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _marian(folder: Path) -> Path:
    import torch
    from transformers import MarianConfig, MarianMTModel, MarianTokenizer

    folder.mkdir()
    pieces = [*_pieces(ENGLISH, folder / "source.spm"), *_pieces(SPANISH, folder / "target.spm")]
    tokens = ["</s>", "<unk>", *dict.fromkeys(pieces), "<pad>"]
    vocabulary = {token: place for place, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    files = {"source_spm": "source.spm", "target_spm": "target.spm", "vocab": "vocab.json"}
    arguments: dict[str, Any] = {kind: str(folder / name) for kind, name in files.items()}
    tokenizer = MarianTokenizer(**arguments)
    pad = vocabulary["<pad>"]
    torch.manual_seed(0)
    config = MarianConfig(
        **_sizes(len(tokens)), pad_token_id=pad, decoder_start_token_id=pad, eos_token_id=0, forced_eos_token_id=0,
        bos_token_id=None, scale_embedding=True, activation_function="swish",
    )  # fmt: skip
    return _fit(MarianMTModel(config), tokenizer, folder, 100)


def _m2m(folder: Path) -> Path:
    import torch
    from transformers import M2M100Config, M2M100ForConditionalGeneration, M2M100Tokenizer

    folder.mkdir()
    pieces = _pieces([*ENGLISH, *SPANISH], folder / "sentencepiece.bpe.model")
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *pieces]
    vocabulary = {token: place for place, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    tokenizer = M2M100Tokenizer(
        str(folder / "vocab.json"), str(folder / "sentencepiece.bpe.model"), src_lang="en", tgt_lang="es"
    )
    torch.manual_seed(0)
    languages_and_spare = len(tokenizer.lang_token_to_id) + tokenizer.num_madeup_words
    model = M2M100ForConditionalGeneration(M2M100Config(**_sizes(len(tokens) + languages_and_spare)))
    return _fit(model, tokenizer, folder, 200)


def _nllb(folder: Path) -> Path:
    import torch
    from transformers import M2M100Config, M2M100ForConditionalGeneration, NllbTokenizer

    letters = sorted(set("".join([*ENGLISH, *SPANISH]).replace(" ", "▁")))
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *letters]
    tokenizer = NllbTokenizer(
        vocab={token: place for place, token in enumerate(tokens)}, merges=[],
        extra_special_tokens=["eng_Latn", "spa_Latn"], src_lang="eng_Latn", tgt_lang="spa_Latn",
    )  # fmt: skip
    torch.manual_seed(0)
    model = M2M100ForConditionalGeneration(M2M100Config(**_sizes(len(tokenizer))))
    return _fit(model, tokenizer, folder, 200)
