"""What a folder's tokenizer files say, read as transformers reads them.

``tokenizer.json`` holds the vocabulary and most rules. What pads, from which side, what becomes lower case and what
is appended stands in ``tokenizer_config.json`` or follows from the class that it names. Nothing of this is guessed:
where a tower sees its padding and no file says what pads, the folder is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from glotclip.errors import CheckpointError
from glotclip.models.known_keys import known_keys, read_table, stated
from glotclip.models.sentencepiece_model import canonical, convert
from glotclip.models.tokenizer import ClipTokenizer, HfTokenizer, Rule, Side

CONFIG, SPECIAL, VOCABULARY, SENTENCEPIECE = (
    "tokenizer_config.json", "special_tokens_map.json", "tokenizer.json", "spiece.model"
)  # fmt: skip


class Family(NamedTuple):
    """What a tokenizer's class does of itself.

    Attributes:
        pad: its padding token where the files name none; None: they must.
        side: where padding stands where the files are silent.
        rule: what it does to texts before the file's own rules.
        lower: whether it brings texts to lower case, within the file's rules.
        end: the token it appends to each text, whatever the file says.
        bert: whether its settings on case, accents and Chinese characters overrule the file's.
    """

    pad: str | None = None
    side: Side = "right"
    rule: Rule = "file"
    lower: bool = False
    end: str | None = None
    bert: bool = False


BERT_ALONE = ("strip_accents", "tokenize_chinese_chars")  # settings of BERT's classes
# Texts that show what a file's rules do.
PROBE = "A  B!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\tC\nÄ"
CLIP_PROBE, CLIP_NORMALISED = "A  B\tE\u0301", "a b é"
GENERIC = ("TokenizersBackend", "PreTrainedTokenizer", "PreTrainedTokenizerFast")
FAMILIES = {
    "SiglipTokenizer": Family(pad="</s>", rule="siglip", end="</s>"),
    "Siglip2Tokenizer": Family(pad="<pad>", side="left", lower=True),
    "GemmaTokenizer": Family(pad="<pad>", side="left"),
    "XLMRobertaTokenizer": Family(pad="<pad>"),
    "RobertaTokenizer": Family(pad="<pad>"),
    "BertTokenizer": Family(pad="[PAD]", bert=True),
    "DistilBertTokenizer": Family(pad="[PAD]", bert=True),
    **dict.fromkeys(GENERIC, Family()),
}


def read_clip(folder: Path, context_length: int) -> ClipTokenizer:
    """Read CLIP's tokenizer.

    Raises:
        CheckpointError: there is none, it is damaged, or its files ask for something that CLIP's does not do.
    """
    files = Files.of(folder, "CLIPTokenizer")
    file = folder / VOCABULARY
    if files.name not in ("CLIPTokenizer", *GENERIC):
        raise files.foreign("CLIPTokenizer")
    if files.name in GENERIC and file.exists():
        own = _normalised(read_table(file), CLIP_PROBE, file)
        if own != CLIP_NORMALISED:
            raise CheckpointError(
                f"{file} normalises texts otherwise than CLIP: {own!r}, not {CLIP_NORMALISED!r}",
                hint="use the tokenizer files of a plain CLIP",
            )
    for key, usual in (("truncation_side", "right"), ("add_bos_token", True), ("add_eos_token", True)):
        if files.settings.get(key, usual) != usual:
            raise CheckpointError(
                f"{folder / CONFIG}: {key} = {files.settings[key]!r} is not what CLIP does",
                hint="the text tower reads start token, text, end token; use the files of a plain CLIP",
            )
    return ClipTokenizer.load(folder, context_length=files.context(context_length))


def read_hugging_face(
    folder: Path, context_length: int, *, usual: str, pad_id: int | None = None, sees_padding: bool = True
) -> HfTokenizer:
    """Read the tokenizer of a SigLIP, or of another tower that attends both ways.

    Args:
        folder: of the checkpoint.
        context_length: positions of the text tower.
        usual: the tokenizer's class where no file names one.
        pad_id: where the tower's configuration settles it (XLM-R counts positions from it).
        sees_padding: whether padding changes features (SigLIP), so that it must be known.

    Raises:
        CheckpointError: files are missing or damaged, or say something that is not understood.
    """
    files = Files.of(folder, usual)
    if files.name not in FAMILIES or (sees_padding and FAMILIES[files.name].bert):
        raise files.foreign(usual)
    family, file = FAMILIES[files.name], folder / VOCABULARY
    if not family.bert and (said := [key for key in BERT_ALONE if files.settings.get(key) is not None]):
        raise files.mixed(f"{said[0]} = {files.settings[said[0]]!r}, which {files.name} does not know")
    rule = "siglip-cased" if family.rule == "siglip" and files.settings.get("do_lower_case") is False else family.rule
    if file.exists():
        table, content = read_table(file), file.read_text(encoding="utf-8")
        if rule == "siglip" and _normalised(table, PROBE, file) == _normalised(table, canonical(PROBE), file):
            rule = "file"  # the file itself brings texts to SigLIP's form
    elif (folder / SENTENCEPIECE).exists() and family.end:
        content = convert(folder / SENTENCEPIECE, files.token("eos_token") or family.end)
        table = json.loads(content)
    else:
        raise CheckpointError(
            f"{folder} has no {VOCABULARY}", hint=f"put the {VOCABULARY} of the same model beside the weights"
        )
    if _complete(table, files, family):
        content = json.dumps(table, ensure_ascii=False)
    padding = files.side("padding", table, family.side)
    context = files.context(context_length)
    if sees_padding and context != context_length:
        raise files.mixed(f"model_max_length is {context}, but the text tower reads place {context_length}")
    return HfTokenizer(
        content,
        context_length=context,
        pad_id=_padding(table, files, family) if pad_id is None else pad_id,
        rule=rule,
        padding=padding if sees_padding else "right",
        truncation=files.side("truncation", table, "right"),
    )


class Files(NamedTuple):
    """What the files beside a vocabulary say: settings, and the class that is meant."""

    folder: Path
    settings: dict[str, Any]
    name: str

    @classmethod
    def of(cls, folder: Path, usual: str) -> Files:
        """Read them; ``usual`` is the class where they name none."""
        settings = read_table(folder / SPECIAL) if (folder / SPECIAL).exists() else {}
        settings = {key: value for key, value in settings.items() if key.endswith("_token")}
        if (folder / CONFIG).exists():
            table = read_table(folder / CONFIG)
            known_keys("tokenizer").check(table, str(folder / CONFIG))
            settings |= stated(table)
        name = settings.get("tokenizer_class")
        if name is None and usual == "SiglipTokenizer" and (folder / VOCABULARY).exists():
            known = _vocabulary(read_table(folder / VOCABULARY))
            if "<pad>" in known and "<eos>" in known and "</s>" not in known:
                raise CheckpointError(
                    f"{folder} has no {CONFIG} that names the tokenizer's class, and its vocabulary is Gemma's: "
                    "whether texts become lower case, and on which side they are padded, is not said",
                    hint=f"put the {CONFIG} of the same checkpoint (SigLIP 2) beside the {VOCABULARY}",
                )
        # Of this model the files on the hub name the wrong class, so transformers does not ask them.
        if name is None or usual == "Siglip2Tokenizer":
            return cls(folder, settings, usual)
        return cls(folder, settings, str(name) if str(name) in GENERIC else str(name).removesuffix("Fast"))

    def token(self, key: str) -> str | None:
        """A special token by its role, given as a string or with its properties."""
        value = self.settings.get(key)
        content = value.get("content") if isinstance(value, Mapping) else value
        return None if content is None else str(content)

    def context(self, positions: int) -> int:
        """Most tokens of a text: the tower's positions, or fewer where the tokenizer says so."""
        given = self.settings.get("model_max_length")
        return min(positions, int(given)) if isinstance(given, int | float) and given >= 1 else positions

    def side(self, what: str, table: Mapping[str, Any], usual: str) -> Side:
        """On which side ``padding`` stands or ``truncation`` cuts."""
        written = (table.get(what) or {}).get("direction")
        side = str(self.settings.get(f"{what}_side", written or usual)).lower()
        if side not in ("right", "left"):
            raise self.mixed(f"{what}_side = {side!r}, which is neither right nor left")
        return cast(Side, side)

    def foreign(self, usual: str) -> CheckpointError:
        """The error for a class that is not known where ``usual`` is expected."""
        return CheckpointError(
            f"{self.folder / CONFIG} names the tokenizer {self.name!r}, which glotclip does not know here",
            hint=f"for this model it reads {usual} and files of the tokenizers library (PreTrainedTokenizerFast)",
        )

    def mixed(self, fault: str) -> CheckpointError:
        """The error for files that do not go together."""
        return CheckpointError(
            f"{self.folder / CONFIG}: {fault}",
            hint="use the tokenizer files of one checkpoint, the same as the weights",
        )


def _complete(table: dict[str, Any], files: Files, family: Family) -> bool:
    """Write into a ``tokenizer.json`` what its class adds to it; whether that changed anything."""
    changed, known, settings, file = False, _vocabulary(table), files.settings, files.folder / VOCABULARY
    for place, added in (settings.get("added_tokens_decoder") or {}).items():
        content = added["content"] if isinstance(added, Mapping) else added
        if known.get(str(content)) != int(place):
            raise files.mixed(f"adds the token {content!r} as {place}, which {VOCABULARY} lacks")
    # transformers' Gemma tokenizer passes over do_lower_case; SigLIP 2, whose files say it, was trained so.
    lower = family.lower or (files.name == "GemmaTokenizer" and settings.get("do_lower_case") is True)
    if lower and _normalised(table, "ABC Ä", file) != _normalised(table, "abc ä", file):
        own = table.get("normalizer")
        steps = own["normalizers"] if own and own["type"] == "Sequence" else [own] if own else []
        table["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Lowercase"}, *steps]}
        changed = True
    changed |= family.bert and _bert_rules(table, settings)
    start, end = settings.get("add_bos_token"), settings.get("add_eos_token")
    if family.end is not None:
        last = known.get(files.token("eos_token") or family.end)
        appends = last is not None and _backend(table, file).encode("").ids == [last]
        start, end = (None, None) if appends else (False, True)
    if start is not None or end is not None:
        table["post_processor"] = _template(files, known, bool(start), bool(end), family)
        changed = True
    return changed


def _bert_rules(table: dict[str, Any], settings: Mapping[str, Any]) -> bool:
    """Let what BERT's tokenizer is set to overrule its file's normaliser, as transformers does."""
    rules = table.get("normalizer") or {}
    names = {"do_lower_case": "lowercase", "strip_accents": "strip_accents",
             "tokenize_chinese_chars": "handle_chinese_chars"}  # fmt: skip
    wanted = {theirs: settings[name] for name, theirs in names.items() if name in settings}
    if rules.get("type") != "BertNormalizer" or all(rules.get(key) == value for key, value in wanted.items()):
        return False
    table["normalizer"] = {**rules, **wanted}
    return True


def _template(files: Files, known: Mapping[str, int], start: bool, end: bool, family: Family) -> dict[str, Any]:
    """The post-processor that puts start and end tokens around a text."""
    single: list[dict[str, Any]] = [{"Sequence": {"id": "A", "type_id": 0}}]
    special = {}
    for key, wanted, place, fallback in (
        ("bos_token", start, 0, "<bos>"),
        ("eos_token", end, len(single) + start, family.end or "<eos>"),
    ):
        if wanted:
            token = files.token(key) or fallback
            if token not in known:
                raise files.mixed(f"{key} is {token!r}, which {VOCABULARY} lacks")
            single.insert(place, {"SpecialToken": {"id": token, "type_id": 0}})
            special[token] = {"id": token, "ids": [known[token]], "tokens": [token]}
    pair = [*single, {"Sequence": {"id": "B", "type_id": 1}}]
    return {"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": special}


def _padding(table: Mapping[str, Any], files: Files, family: Family) -> int:
    """The id that fills up texts."""
    known = _vocabulary(table)
    token = files.token("pad_token") or (table.get("padding") or {}).get("pad_token") or family.pad
    if token is None:
        raise CheckpointError(
            f"no file in {files.folder} says with what texts are padded, which this text tower sees",
            hint=f"put the {CONFIG} of the same checkpoint, with its pad_token, beside the {VOCABULARY}",
        )
    if token not in known:
        raise files.mixed(f"texts are padded with {token!r}, which the vocabulary of {files.folder} lacks")
    return known[token]


def _vocabulary(table: Mapping[str, Any]) -> dict[str, int]:
    """Token → id of a ``tokenizer.json``, added tokens included."""
    vocab = (table.get("model") or {}).get("vocab") or {}
    pairs = vocab if isinstance(vocab, Mapping) else {piece[0]: place for place, piece in enumerate(vocab)}
    return {**pairs, **{added["content"]: added["id"] for added in table.get("added_tokens") or ()}}


def _normalised(table: Mapping[str, Any], text: str, file: Path) -> str:
    """What the rules of a ``tokenizer.json`` make of a text, before it is cut into pieces."""
    if not table.get("normalizer"):
        return text
    empty = {"type": "WordLevel", "vocab": {"": 0}, "unk_token": ""}
    bare = {"version": "1.0", "added_tokens": [], "normalizer": table["normalizer"], "model": empty}
    return str(_backend(bare, file).normalizer.normalize_str(text))


def _backend(table: Mapping[str, Any], file: Path) -> Any:
    from tokenizers import Tokenizer as Backend

    try:
        return Backend.from_str(json.dumps(table))
    except Exception as error:  # what this library raises is nothing narrower
        raise CheckpointError(f"{file} is not a tokenizer: {error}") from error
