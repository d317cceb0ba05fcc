"""BERT and its relatives: geometry from their configurations, and tensors as a post-norm tower's."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from glotclip.errors import CheckpointError
from glotclip.models.bert import FAMILIES, bert_config, bert_names, bert_tensors
from glotclip.models.text_tower import TextConfig, TextTower


def means_of_bert(model: Any, ids: np.ndarray, lengths: np.ndarray) -> torch.Tensor:
    """The mean over each text's tokens, as sentence-transformers computes it with transformers' model."""
    mask = torch.arange(ids.shape[1]) < torch.from_numpy(lengths)[:, None]
    with torch.no_grad():
        hidden = model(torch.from_numpy(ids), attention_mask=mask.long()).last_hidden_state
    means: torch.Tensor = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    return means


def test_a_small_bert_is_computed_as_transformers_does() -> None:
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    theirs: Any = BertModel(
        BertConfig(
            vocab_size=60, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
            max_position_embeddings=20,
        )
    )  # fmt: skip
    theirs.eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    config = TextConfig(
        width=32, layers=2, heads=4, mlp_width=64, vocab_size=60, context_length=20, embed_dim=32, activation="gelu",
        causal=False, pooling="mean", norm_eps=1e-12, norms="post",
    )  # fmt: skip
    tower = TextTower(config).eval()
    tower.load_state_dict(bert_tensors(theirs.state_dict(), config, "a BERT"))
    ids = np.random.default_rng(0).integers(0, 60, (3, 12))
    lengths = np.array([12, 5, 1])
    with torch.no_grad():
        ours = tower(torch.from_numpy(ids), torch.from_numpy(lengths))
    torch.testing.assert_close(ours, means_of_bert(theirs, ids, lengths), atol=1e-5, rtol=0)
    with pytest.raises(CheckpointError, match=r"missing: transformer\.encoder\.layer\.1"):
        state = {name: tensor for name, tensor in theirs.state_dict().items() if "layer.1" not in name}
        bert_tensors(state, config, "half a BERT")
    assert dataclasses.replace(config, centred=True).record()["centred"] is True


def test_what_a_configuration_is_silent_of_is_the_familys() -> None:
    bert, xlmr, distil = (
        bert_config({"model_type": kind}, "mean", "c") for kind in ("bert", "xlm-roberta", "distilbert")
    )
    assert (bert.pad_id, bert.unused, bert.text.context_length, bert.text.layers) == (0, 0, 512, 12)
    assert (xlmr.pad_id, xlmr.unused, xlmr.text.context_length) == (1, 2, 510)
    assert (distil.pad_id, distil.text.layers, distil.text.mlp_width, distil.text.norm_eps) == (0, 6, 3072, 1e-12)
    assert bert_config({"model_type": "bert", "pad_token_id": 3}, "first", "c").unused == 0  # BERT counts from 0
    assert bert_config({"model_type": "roberta", "pad_token_id": 3}, "first", "c").unused == 4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hidden_size": "wide"}, "c.json"),
        ({"num_attention_heads": 0}, "c.json"),
        ({"max_position_embeddings": 0}, "make no tower"),
        ({"is_decoder": True}, "is_decoder"),
        ({"rotary": 1}, "rotary"),
    ],
)
def test_configurations_that_make_no_sense(change: dict[str, Any], said: str) -> None:
    with pytest.raises(CheckpointError, match=said):
        bert_config({"model_type": "xlm-roberta", **change}, "mean", "c.json")


@pytest.mark.parametrize("kind", FAMILIES)
def test_names_with_and_without_a_head(kind: str) -> None:
    row, prefix = torch.zeros(3, 2), FAMILIES[kind].prefix
    names = (
        "embeddings.word_embeddings.weight",
        "embeddings.position_embeddings.weight",
        "embeddings.LayerNorm.gamma",
    )
    bare = bert_names(dict.fromkeys(names, row), kind)
    headed = bert_names({**{prefix + name: row for name in names}, "lm_head.bias": row}, kind)
    assert set(bare) == set(headed)
    assert "embeddings.LayerNorm.weight" in bare
    assert ("embeddings.token_type_embeddings.weight" in bare) == (kind == "distilbert")
