"""The settings of every method. What they have in common stands once, in the classes they inherit from."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from glotclip.methods.compacter import Start
from glotclip.methods.lexicon import Damps
from glotclip.methods.lora import Target
from glotclip.methods.module import Activation
from glotclip.methods.objective import ObjectiveSettings
from glotclip.textforms import Folds, Forms

Isolation = Literal["shared", "per-language"]


class MethodSettings(ObjectiveSettings):
    """Settings every method has: who shares weights, and (inherited) which losses pull."""

    isolation: Isolation = Field(
        "per-language",
        description="'shared': all languages change the same weights (the papers' setting, forgets); "
        "'per-language': a language cannot touch any other",
    )

    text_form: Forms = Field(
        "unicode-1",
        description="the form captions are learnt and queries asked in (docs/text.md); 'none': as they are written",
    )
    fold: Folds = Field(
        "none",
        description="scripts that are folded into one besides: 'simplified' for Chinese, 'latin' for Serbian, Uzbek, "
        "Azerbaijani and Turkmen; 'all': either, where it concerns the language",
    )
    store: Literal["fp32", "fp16"] = Field("fp32", description="what weights are rounded to in the pack")

    @property
    def covers_base(self) -> bool:
        """Whether a shared pack also becomes the path of the base's own languages."""
        return False


class LexiconSettings(MethodSettings):
    """CLL-CLIP: rows of the token table, with TEIR's three pieces."""

    vocabulary: int = Field(10_000, ge=0, description="size of the byte-level BPE learnt per task; 0 adds no tokens")
    splitting: Literal["clip", "marks"] = Field(
        "marks", description="'marks' keeps combining marks with their letters; 'clip' splits at them, as CLIP does"
    )
    teir_init: bool = Field(True, description="draw new rows from the distribution of the table's entries")
    teir_gradient: bool = Field(
        True, description="shared only: divide a row's gradient by the number of languages that use it"
    )
    teir_decay: bool = Field(True, description="divide a row's weight decay likewise, and spare rows not in use")
    teir_damps: Damps = Field(
        "gradient",
        description="what teir_gradient divides: 'gradient', the paper's, which Adam undoes down to ε; "
        "'rate', the row's learning rate, which holds whatever the scale",
    )
    teir_strength: float = Field(
        1.0,
        gt=0,
        description="weight s of an earlier use of a row in its factor 1 / (1 + s·(uses − 1)); 1: the paper",
    )
    init_std: float = Field(0.02, ge=0, description="standard deviation of new rows without teir_init")

    @property
    def covers_base(self) -> bool:
        """One table for all languages, the base's own among them."""
        return True


class ModuleSettings(LexiconSettings):
    """Modules in the tower, and how a language's tokens enter it."""

    embedding: Literal["lexicon", "multilingual", "base"] = Field(
        "lexicon",
        description="'lexicon': rows of the token table train too; 'multilingual': a table of its own with a "
        "projection (MLA); 'base': the base's vocabulary and rows, unchanged",
    )
    bert: Path | None = Field(
        None, description="folder of a multilingual BERT for embedding=multilingual; without it the table is learnt"
    )
    bert_trains: Literal["all", "projection", "rows"] = Field("all", description="what of that table trains")
    bert_trim: bool = Field(True, description="keep only rows that occurred in captions, not all of BERT's 184 MB")
    embedding_trains: Literal["always", "first"] = Field(
        "always",
        description="shared only: 'first' leaves the shared table alone after a pack's first task, so that a "
        "language added later changes no other",
    )
    embedding_rate: float = Field(
        1.0, gt=0, description="learning rate of the embedding's weights, as a multiple of lr"
    )
    modules: Isolation = Field(
        "per-language", description="'shared': one set of modules for all languages of a shared pack"
    )
    norms: bool = Field(False, description="train the layer norms of every block as well (PECT)")
    english: Literal["native", "taught"] = Field(
        "native", description="shared only: 'native' leaves the base's own languages on the base's own path (MLA)"
    )

    @model_validator(mode="after")
    def _sharing(self) -> ModuleSettings:
        if self.isolation == "per-language" and self.modules == "shared":
            raise ValueError("modules=shared needs isolation=shared")
        return self

    @property
    def covers_base(self) -> bool:
        """Where English shall be taught as well."""
        return self.english == "taught"


class AcquirerSettings(ModuleSettings):
    """MLA: a bottleneck after every block."""

    bottleneck: int = Field(256, ge=1, description="width of the bottleneck; the paper: half the tower's width")
    near_identity: bool = Field(True, description="start as the base does; False: drawn as the reference does")
    skip: bool = Field(False, description="no acquirers, the embedding alone (the paper's ablation)")


class LoraSettings(ModuleSettings):
    """LoRA on linear maps of every block."""

    targets: tuple[Target, ...] = Field(("q", "v"), description="maps with a delta: q, k, v, out, up, down")
    rank: int = Field(8, ge=1, description="rank of the deltas")
    alpha: float = Field(16.0, gt=0, description="deltas are scaled by alpha / rank")


class AdapterSettings(ModuleSettings):
    """Bottlenecks at the end of attention and of the MLP."""

    bottleneck: int = Field(24, ge=1, description="width of the bottlenecks")
    adapter_std: float = Field(0.01, ge=0, description="standard deviation of the weights at the start")
    activation: Activation = Field("gelu_tanh", description="between the two maps; PECT: gelu_tanh")


class CompacterSettings(ModuleSettings):
    """Bottlenecks made of Kronecker products."""

    reduction: int = Field(16, ge=1, description="the tower's width over the bottleneck's")
    terms: int = Field(4, ge=1, description="Kronecker products in each map")
    factor_rank: int = Field(1, ge=1, description="rank of their right factors")
    activation: Activation = Field("relu", description="between the two maps; PECT: relu")
    start: Start = Field(
        "even",
        description="'even': the maps' entries deviate by 0.01, as an adapter's; 'reference': drawn as PECT's "
        "library does, so small that few steps hardly move them",
    )


class PromptSettings(ModuleSettings):
    """Trained vectors before every text."""

    length: int = Field(4, ge=1, description="number of vectors")
    prompt: str = Field("", description="words whose rows are the start")


class HardPromptSettings(ModuleSettings):
    """Fixed words before every text; what trains is the embedding or the norms."""

    prompt: str = Field("Language: ", description="the words")

    @model_validator(mode="after")
    def _something_trains(self) -> HardPromptSettings:
        if self.embedding == "base" and not self.norms:
            raise ValueError("a hard prompt has nothing to train: use embedding=lexicon or norms=true beside it")
        return self


class PrefixSettings(ModuleSettings):
    """Trained keys and values before every text's, in every block."""

    length: int = Field(30, ge=1, description="number of keys and values")


class PoolSettings(ModuleSettings):
    """Prompts that are chosen by the text itself: one pool for all languages, no language code at query time."""

    @model_validator(mode="after")
    def _one_pool(self) -> PoolSettings:
        if self.isolation != "shared":
            raise ValueError("a pool of prompts serves all languages of a pack, so it needs isolation=shared")
        return self


class DualPromptSettings(PoolSettings):
    """DualPrompt: prompts for all tasks in some blocks, a prompt of each task in others."""

    general: int = Field(1, ge=1, description="keys, and values, of the prompt that all tasks share")
    expert: int = Field(8, ge=1, description="keys, and values, of each task's prompt")
    pull: float = Field(1.0, ge=0, description="weight of the loss that pulls a task's keys towards its texts")


class CodaPromptSettings(PoolSettings):
    """CODA-Prompt: prompts mixed of components, by the text."""

    components: int = Field(5, ge=1, description="components of each task")
    length: int = Field(1, ge=1, description="keys, and values, of a prompt")
