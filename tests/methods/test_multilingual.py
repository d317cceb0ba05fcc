"""The multilingual table: from a local BERT's folder or learnt; what later languages may change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from glotclip import api
from glotclip.errors import CheckpointError, PackError
from glotclip.methods.module import ALL
from glotclip.methods.multilingual import MultilingualTable
from glotclip.models.checkpoints import save_base
from glotclip.packs.polyglot import Polyglot
from glotclip.storage import write_tensors

if TYPE_CHECKING:
    from tests.methods.conftest import MakeTask

    from glotclip.models.dual_encoder import DualEncoder

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklmnopqrstuvwxyzäöüé", "rot", "##er", "kreis", "le"]
WORDS += [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyzäöüé"]
D = 12


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    """A folder as transformers saves a BERT: tokenizer.json and the weights, of which the word embeddings count."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordPiece({word: n for n, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    folder = tmp_path / "bert"
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    rows = torch.randn(len(WORDS) + 3, D, generator=torch.Generator().manual_seed(0))  # padded, as real tables are
    write_tensors(folder / "model.safetensors", {"bert.embeddings.word_embeddings.weight": rows})
    return folder


@pytest.fixture
def teach(base: DualEncoder, drawn: Path, tmp_path: Path) -> Callable[..., api.Extended]:
    save_base(base, tmp_path / "base")

    def run(langs: list[str], out: str, start: Path | None = None, joint: bool = False, **settings: Any) -> Any:
        small = {"steps": 6, "batch_size": 4, "vocabulary": 600, "bottleneck": 4, "precision": "fp32", "lr": 1e-2}
        return api.extend(
            start or tmp_path / "base", langs, data=drawn, method="acquirer", out=tmp_path / out, joint=joint,
            settings={**small, "isolation": "shared", "embedding": "multilingual", **settings},
        )  # fmt: skip

    return run


def test_a_bert_folder_gives_tokenizer_rows_and_pack(teach: Callable[..., Any], bert: Path, tmp_path: Path) -> None:
    polyglot = teach(["de", "fr"], "out", joint=True, bert=bert).load()
    pack = polyglot.packs["shared"]
    assert (pack.folder / "tokenizer" / "tokenizer.json").exists()
    ids = pack.state.tokenizer.encode(["roter Kreis"])[0].tolist()
    assert [WORDS[place] for place in ids] == ["[CLS]", "rot", "##er", "kreis", "[SEP]"]
    table = pack.state.module("multilingual", ALL)
    assert isinstance(table, MultilingualTable)
    rows = torch.randn(len(WORDS) + 3, D, generator=torch.Generator().manual_seed(0))[: len(WORDS)]
    moved = (table.rows - rows[table.ids]).abs().amax(dim=1)
    assert (moved > 1e-3).sum() > 10  # they started as BERT's and learnt
    assert moved.max() < 0.5
    assert WORDS.index("##j") not in table.ids.tolist()  # it does not occur, and was trimmed
    again = polyglot.encode_text(["roter Kreis"], lang="de")
    assert torch.equal(api.load(tmp_path / "out").encode_text(["roter Kreis"], lang="de"), again)


def test_untrimmed_rows_that_never_occurred_are_berts_own(teach: Callable[..., Any], bert: Path) -> None:
    table = (
        teach(["de"], "out", bert=bert, bert_trim=False, weight_decay=0.5)
        .load()
        .packs["shared"]
        .state.module("multilingual", ALL)
    )
    rows = torch.randn(len(WORDS) + 3, D, generator=torch.Generator().manual_seed(0))
    assert len(table.rows) == len(WORDS)
    assert torch.equal(table.rows[WORDS.index("##j")], rows[WORDS.index("##j")])  # no decay reached it


@pytest.mark.slow
@pytest.mark.parametrize("with_bert", [True, False])
def test_a_language_added_later_changes_no_other(
    teach: Callable[..., Any], bert: Path, base: DualEncoder, with_bert: bool, tmp_path: Path
) -> None:
    choice = {"bert": bert if with_bert else None, "embedding_trains": "first"}
    before = teach(["de", "fr"], "out", joint=True, **choice).load()
    texts = {"de": ["roter Kreis", "grün"], "fr": ["cercle"], "en": ["a red circle"]}
    features = {code: before.encode_text(each, lang=code) for code, each in texts.items()}
    after = teach(["hi"], "out", start=tmp_path / "out", **choice).load()
    for code, each in texts.items():
        assert torch.equal(after.encode_text(each, lang=code), features[code]), code
    native = Polyglot(base).encode_text(["a red circle"], lang="en")
    assert torch.equal(after.encode_text(["a red circle"], lang="en"), native)
    assert "hi" in after.languages


def test_a_learnt_table_starts_as_the_base(base: DualEncoder, make_task: MakeTask) -> None:
    task = make_task(base, ["multilingual"])
    tokens = base.tokenizer.encode(["roter Kreis"])
    torch.testing.assert_close(base.encode_tokens(tokens, task.stacks["de"]), base.encode_tokens(tokens))


@pytest.mark.slow
@pytest.mark.parametrize(("trains", "moves"), [("projection", (False, True)), ("rows", (True, False))])
def test_what_trains_can_be_chosen(
    teach: Callable[..., Any], bert: Path, trains: str, moves: tuple[bool, bool]
) -> None:
    tables = [
        teach(["de"], f"{trains}-{steps}", bert=bert, bert_trains=trains, steps=steps, stages=["nlt"])
        .load().packs["shared"].state.module("multilingual", ALL)
        for steps in (1, 9)
    ]  # fmt: skip
    moved = tuple(
        not torch.equal(getattr(tables[0], name), getattr(tables[1], name)) for name in ("rows", "projection")
    )
    assert moved == moves


def test_damage_is_named(base: DualEncoder) -> None:
    W = base.text.config.width
    good = {
        "ids": torch.tensor([0, 3], dtype=torch.int32), "rows": torch.zeros(2, D), "projection": torch.zeros(W, D),
        "bias": torch.zeros(W),
    }  # fmt: skip
    assert MultilingualTable.restore(base, good, {"size": 4}).vocab_size == 4
    for spoilt in (
        {**good, "projection": torch.zeros(W + 1, D)},
        {name: tensor for name, tensor in good.items() if name != "bias"},
        {**good, "ids": torch.tensor([0, 9], dtype=torch.int32)},
    ):
        with pytest.raises(PackError):
            MultilingualTable.restore(base, spoilt, {"size": 4})


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"something": torch.zeros(1)}, "has no word embeddings"),
        ({"embeddings.word_embeddings.weight": torch.zeros(3, D)}, "has 3 rows for a vocabulary of"),
    ],
)
def test_a_folder_of_something_else_is_named(
    base: DualEncoder, make_task: MakeTask, bert: Path, tensors: dict[str, torch.Tensor], message: str
) -> None:
    write_tensors(bert / "model.safetensors", tensors)
    with pytest.raises(CheckpointError, match=message) as caught:
        make_task(base, ["multilingual"], bert=bert)
    assert caught.value.hint


@pytest.mark.parametrize("trim", [True, False])
def test_any_text_has_the_features_in_validation_that_the_stored_pack_gives_it(
    base: DualEncoder, make_task: MakeTask, stir: Callable[..., None], bert: Path, trim: bool
) -> None:
    """Also one of tokens that no caption had, whose rows a trimmed table lacks."""
    state = None
    for code in ("fr", "de"):
        task = make_task(base, ["multilingual"], (code,), state, bert=bert, bert_trim=trim)
        stir(task)
        state = task.finish(1.0)
    assert state is not None
    for text in ("roter Kreis", "cercle", "xyz jj", "日本"):
        tokens = task.tokenizer.encode([text])
        trained = base.encode_tokens(tokens, task.stacks["de"])
        assert torch.equal(trained, base.encode_tokens(tokens, state.stack("de"))), text
