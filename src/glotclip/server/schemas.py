"""What requests and answers look like; FastAPI makes the OpenAPI description of these."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import UploadFile
from pydantic import BaseModel, ConfigDict, Field

from glotclip.library.query import LONGEST, MOST_TERMS

#: A text with something in it that is seen.
Seen = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"\S")]
Number = Annotated[int, Field(ge=1, lt=2**53)]  # of an item; larger ones are none in JavaScript
Language = Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9_-]*$")]
Day = Annotated[str, Field(pattern=r"^\d{4}(-\d{2}(-\d{2})?)?$", examples=["2021", "2021-07", "2021-07-04"])]
NEAR = r"^\s*-?\d+(\.\d+)?\s*,\s*-?\d+(\.\d+)?\s*,\s*\d+(\.\d+)?\s*$"
Place = Annotated[str, Field(pattern=NEAR, max_length=100, examples=["48.2,16.37,5"])]


#: For JSON, where no number stands for a truth value; in addresses there is text alone.
STRICT = ConfigDict(extra="forbid", strict=True)


class Strict(BaseModel):
    """A request; what it does not know it refuses."""

    model_config = ConfigDict(extra="forbid")


class Narrowed(Strict):
    """What hits must be, and which page of them is asked for."""

    model: str | None = Field(None, max_length=1000, description="which of the library's models answers")
    limit: int = Field(60, ge=1, le=500)
    offset: int = Field(0, ge=0, le=9500)
    folder: str | None = Field(None, max_length=4096, description="only what lies in this folder or below it")
    after: Day | None = Field(None, description="only what was taken on this day or later")
    before: Day | None = Field(None, description="only what was taken on this day or earlier")
    near: Place | None = Field(None, description="degrees north, degrees east, kilometres")
    camera: str | None = Field(None, max_length=200)
    kind: Literal["image", "video"] | None = None
    min_score: float | None = Field(None, ge=-1, le=1)
    min_probability: float | None = Field(None, ge=0, le=1, description="0: what fits best, even if badly")
    fold: bool = Field(True, description="whether of near-duplicates only the best is listed")

    def filters(self) -> dict[str, Any]:
        """As :meth:`Library.search` takes them."""
        given = self.model_dump(include=set(Narrowed.model_fields))
        if self.near is not None:
            lat, lon, reach = (float(part) for part in self.near.split(","))
            given["near"] = lat, lon, reach
        return given


class SearchParameters(Narrowed):
    """A search as the parameters of an address."""

    q: Seen = Field(description='what the picture shows; -word and not:"some words" push away')
    lang: Language | None = Field(None, description="the language of q; guessed if not given")


class ImageSearch(Narrowed):
    """A search by a picture that is sent along, and maybe a text."""

    image: UploadFile = Field(description="a picture; it is not kept")
    q: str | None = Field(None, max_length=2000, description="what the picture shows besides")
    lang: Language | None = None


class WeightedText(Strict):
    """A text and how much it counts; a negative weight pushes away."""

    text: Seen
    weight: float = Field(1.0, ge=-100, le=100)


class Search(Narrowed):
    """A search of several texts and items."""

    model_config = STRICT

    texts: list[WeightedText | Seen] = Field(default_factory=list, max_length=MOST_TERMS)
    lang: Language | None = None
    like: list[Number] = Field(
        default_factory=list, max_length=MOST_TERMS, description="items that hits shall be like"
    )
    unlike: list[Number] = Field(default_factory=list, max_length=MOST_TERMS, description="items that push away")


class Hit(BaseModel):
    """A picture or video that fits."""

    item: int
    path: str
    uri: str
    paths: list[str]
    kind: str
    score: float = Field(description="cosine with the query")
    probability: float | None = Field(description="that it is what was asked for; null in a very small library")
    words: str = Field(description="the probability in words")
    second: float | None = Field(description="where in a video")
    taken: int | None = Field(description="seconds since 1970 by the clock of the place")
    width: int | None
    height: int | None
    camera: str | None
    place: list[float] | None
    duplicates: list[int] = Field(description="items that look the same")


class Answer(BaseModel):
    """What the library has for a query."""

    model: str
    lang: str | None
    lang_guessed: bool
    lang_sure: bool
    lang_weights: dict[str, float]
    searched: int
    cutoff: float | None
    offset: int
    more: bool
    total: int | None
    missing: int
    note: str = Field(description="what there is to say of an answer without a hit")
    hits: list[Hit]


class About(BaseModel):
    """What is known of an item."""

    item: int
    kind: str
    paths: list[str]
    taken: int | None
    tz: int | None
    dated_by: str | None
    lat: float | None
    lon: float | None
    camera: str | None
    lens: str | None
    width: int | None
    height: int | None
    duration: float | None


class LibraryFacets(BaseModel):
    """What searches can be narrowed down by, with how many items each has."""

    items: int
    folders: dict[str, int]
    months: dict[str, int]
    cameras: dict[str, int]
    kinds: dict[str, int]
    placed: int


class Languages(BaseModel):
    """The languages that queries may be in."""

    model: str
    languages: list[str]


class Duplicates(BaseModel):
    """Groups of items that look the same."""

    groups: list[list[int]]


class Items(Strict):
    """Some items."""

    model_config = STRICT

    items: list[Number] = Field(min_length=1, max_length=10_000)


class Hiding(Items):
    """Items to hide, or to show again."""

    hidden: bool = True


class Changed(BaseModel):
    """How many items have changed."""

    changed: int


class Exported(Items):
    """Items whose files are wanted."""

    form: Literal["paths", "csv", "zip"] = "paths"


class Health(BaseModel):
    """Whether the server can answer."""

    status: Literal["ok"]
    items: int
    model: str | None
    version: str


class Problem(BaseModel):
    """Why there is no answer, and what to do."""

    error: str
    hint: str = ""


class ImageUrl(Strict):
    """A picture in the address itself: ``data:image/…;base64,…``."""

    url: Annotated[str, Field(pattern=r"^data:image/", description="a data URL; nothing is fetched from elsewhere")]


class ImagePart(Strict):
    """A picture, as chat requests write it."""

    type: Literal["image_url"] = "image_url"
    image_url: ImageUrl


class TextPart(Strict):
    """A text, as chat requests write it."""

    type: Literal["text"] = "text"
    text: Annotated[str, Field(min_length=1, max_length=LONGEST)]


Input = Annotated[str, Field(min_length=1)] | TextPart | ImagePart


class Embed(BaseModel):
    """A request of embeddings in OpenAI's shape, with a language for texts; what it does not know has no effect."""

    model_config = ConfigDict(strict=True)

    input: Input | list[Input] = Field(
        description="texts, data URLs of pictures, or parts as chat requests write them"
    )
    model: str | None = Field(None, max_length=1000)
    language: Language | None = Field(None, description="the texts' language; guessed if not given")
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(None, ge=1, description="must be the model's own")
    user: str | None = None


class Embedding(BaseModel):
    """One vector of length 1: numbers, or float32 in base64."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class Usage(BaseModel):
    """Nothing is counted in tokens: these are the inputs."""

    prompt_tokens: int
    total_tokens: int


class Embeddings(BaseModel):
    """Vectors in the order of the inputs."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: Usage
