"""Small text encoders of transformers with random weights, as folders of its own form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from glotclip.models.text_encoders import TextEncoder

KINDS = ("bert", "xlm-roberta", "roberta", "distilbert")
PLACES = 16  # tokens of the longest text
WORDS = ("ein", "eine", "und", "Hund", "Katze", "katze", "hund", "rot", "roter", "a", "red", "green", "circle",
         "cercle", "bar", "square", "Kreis", "rouge", "Quadrat", "grünes", "blue", "black", "schwarz")  # fmt: skip
BERT_WORDS = {
    word: place for place, word in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS))
}  # fmt: skip
XLMR_WORDS = {word: place for place, word in enumerate(("<s>", "<pad>", "</s>", "<unk>", *WORDS, "<mask>"))}


def make_folder(folder: Path, kind: str, *, seed: int = 0, head: bool = False, width: int = 32) -> Any:
    """Write a model and its tokenizer, and return transformers' encoder, without the head."""
    import transformers

    torch.manual_seed(seed)
    counts = kind in ("xlm-roberta", "roberta")
    words = XLMR_WORDS if counts else BERT_WORDS
    sizes: dict[str, Any] = {"vocab_size": len(words), "max_position_embeddings": PLACES + 2 * counts}
    if kind == "distilbert":
        config: Any = transformers.DistilBertConfig(**sizes, dim=width, hidden_dim=48, n_layers=2, n_heads=2)
    else:
        of = {"bert": transformers.BertConfig, "roberta": transformers.RobertaConfig,
              "xlm-roberta": transformers.XLMRobertaConfig}[kind]  # fmt: skip
        config = of(
            **sizes, hidden_size=width, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
            pad_token_id=int(counts), type_vocab_size=1 if counts else 2,
        )  # fmt: skip
    bare = {
        "bert": transformers.BertModel, "roberta": transformers.RobertaModel,
        "xlm-roberta": transformers.XLMRobertaModel, "distilbert": transformers.DistilBertModel,
    }[kind]  # fmt: skip
    model: Any = bare(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    model.eval()
    if head:
        headed = {
            "bert": transformers.BertForMaskedLM, "roberta": transformers.RobertaForMaskedLM,
            "xlm-roberta": transformers.XLMRobertaForMaskedLM, "distilbert": transformers.DistilBertForMaskedLM,
        }[kind](config)  # fmt: skip
        getattr(headed, headed.base_model_prefix).load_state_dict(model.state_dict(), strict=False)
        headed.save_pretrained(folder)
    else:
        model.save_pretrained(folder)
    _write_tokenizer(folder, words, counts)
    return model


def _write_tokenizer(folder: Path, words: dict[str, int], counts: bool) -> None:
    from tokenizers import Tokenizer as Backend
    from tokenizers import models, normalizers, pre_tokenizers, processors

    unknown, first, last = ("<unk>", "<s>", "</s>") if counts else ("[UNK]", "[CLS]", "[SEP]")
    backend = Backend(models.WordLevel(words, unk_token=unknown))
    if not counts:
        backend.normalizer = normalizers.BertNormalizer(lowercase=False)
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}", special_tokens=[(first, words[first]), (last, words[last])]
    )
    backend.save(str(folder / "tokenizer.json"))
    settings: dict[str, Any] = {
        "tokenizer_class": "XLMRobertaTokenizerFast" if counts else "BertTokenizer",
        "do_lower_case": False,
    }
    settings |= {"strip_accents": None, "tokenize_chinese_chars": True, "never_split": None} if not counts else {}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def pooled(model: Any, encoder: TextEncoder, texts: list[str], pooling: str) -> torch.Tensor:
    """What sentence-transformers makes of transformers' hidden states (B, W)."""
    tokens = encoder.tokenizer.encode(texts)
    ids, lengths = tokens.padded(np.arange(len(texts)), encoder.tokenizer.pad_id)
    mask = torch.arange(ids.shape[1]) < torch.from_numpy(lengths)[:, None]
    with torch.no_grad():
        hidden = model(torch.from_numpy(ids), attention_mask=mask.long()).last_hidden_state
    if pooling == "first":
        first: torch.Tensor = hidden[:, 0]
        return first
    means: torch.Tensor = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    return means
