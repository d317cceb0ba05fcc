"""``export.json``: what lies in an export's folder, how it was made, and how near its graphs are to the model.

DIR/export.json            written last
DIR/image.onnx  text*.onnx the towers
DIR/table*.npy  rows-*.npy token tables (:mod:`glotclip.onnx.rows`)
DIR/tokenizer*/            tokenizers
DIR/profiles.json          what guesses a query's language
DIR/glossary.txt.xz        in which short queries are looked up
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from glotclip.config import Settings
from glotclip.errors import CheckpointError, DataError
from glotclip.models.calibration import CONTRASTIVE, Calibration
from glotclip.storage import is_there, read_json

FILE, FORMAT = "export.json", 1
PROFILES, TABLE = "profiles.json", "table"

Precision = Literal["fp32", "int8"]


class Parity(Settings):
    """How near a graph is to the tower that it was made of, on samples."""

    samples: int = Field(description="texts or images compared")
    cosine: float = Field(description="of the two features of a sample: of the sample where it is the smallest")
    difference: float = Field(description="largest difference between two numbers of normalised features")
    images: str | None = Field(None, description="which images were compared")


class Graph(Settings):
    """A file with a graph."""

    file: str
    sha256: str
    bytes: int
    precision: Precision
    parity: dict[str, Parity] = Field(description="by precision: of the graph kept, and of the one that was not")


class Language(Settings):
    """What a language is encoded with."""

    graph: str = Field(description="name of its text graph")
    tokenizer: str = Field(description="folder of its tokenizer")
    form: str = Field(description="the form that its texts are brought to")
    rows: str | None = Field(None, description="name of its own rows of the token table")
    to_english: bool = Field(False, description="whether it was taught on translations into English")


class Export(Settings):
    """``export.json``."""

    format: int = FORMAT
    name: str = Field(description="of the base")
    base: str = Field(description="the base's fingerprint")
    fingerprint: str = Field(description="the base's, or one of its own where a graph is too far from the base")
    dim: int
    context_length: int
    trims: bool = Field(description="whether texts may be trimmed to the longest of a batch")
    limit: float = Field(description="the cosine that an int8 graph must reach on every sample")
    precision: str = Field(description="as it was asked for")
    preprocess: dict[str, Any]
    calibration: Calibration = Field(CONTRASTIVE, description="what its scores mean")
    image: Graph
    texts: dict[str, Graph]
    languages: dict[str, Language]
    looked_up: tuple[str, ...] = Field((), description="languages that have entries in the glossary")
    refused: dict[str, str] = Field(default_factory=dict, description="languages left out, and why")
    glotclip: str
    created: str

    def graphs(self) -> dict[str, Graph]:
        """All graphs by name."""
        return {"image": self.image, **self.texts}


def is_export(path: Path | str) -> bool:
    """Whether a folder was written by ``glotclip export``."""
    return is_there(Path(path) / FILE)


def read_export(folder: Path) -> Export:
    """Read ``export.json``.

    Raises:
        CheckpointError: it is missing, damaged, or of another format.
    """
    path = folder / FILE
    again = "export the model again with `glotclip export`"
    try:
        content = read_json(path)
    except DataError as error:
        raise CheckpointError(f"{folder} is not an exported model: {error.message}", hint=again) from error
    number = content.get("format") if isinstance(content, dict) else None
    if number != FORMAT:
        raise CheckpointError(
            f"{path} has format {number}; this glotclip reads format {FORMAT}", hint=f"update glotclip, or {again}"
        )
    try:
        return Export.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CheckpointError(f"{path} is damaged: {where}: {first['msg']}", hint=again) from error
