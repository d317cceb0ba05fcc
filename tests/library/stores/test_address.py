"""The parts of an engine's URL: what is ours is taken out, all else is the engine's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.errors import ConfigError
from glotclip.library.stores import open_store
from glotclip.library.stores.address import address_of

OPTION = st.from_regex(r"(?!index=)[a-z_]{1,9}=[a-z0-9.%]{0,9}", fullmatch=True)


@given(
    options=st.lists(OPTION, max_size=3), index=st.sampled_from([None, "exact", "hnsw"]), place=st.integers(0, 3),
    name=st.from_regex(r"[a-z_]{0,9}", fullmatch=True),
)  # fmt: skip
def test_what_is_the_engines_own_is_left_as_it_is(
    options: list[str], index: str | None, place: int, name: str
) -> None:
    engine = "postgresql://me@host:5432/photos"
    own = engine + (f"?{'&'.join(options)}" if options else "")
    if index is not None:
        options = [*options[:place], f"index={index}", *options[place:]]
    found = address_of(engine + (f"?{'&'.join(options)}" if options else "") + f"#{name}")
    assert (found.engine, found.name, found.approximate) == (own, name, index == "hnsw")


@given(word=st.from_regex(r"[A-Za-z0-9]{6,12}", fullmatch=True), other=st.lists(OPTION, max_size=2))
def test_no_password_is_shown(word: str, other: list[str]) -> None:
    word = f"s3cret{word}"
    asked = "&".join([*other, f"password={word}", *other])
    for url in (f"postgresql://me:{word}@host/photos#vectors", f"postgresql://me@host/photos?{asked}#vectors"):
        assert word not in address_of(url).shown and address_of(url).shown.endswith("#vectors")


def test_an_index_that_there_is_not() -> None:
    with pytest.raises(ConfigError) as caught:
        address_of("milvus://host:19530?index=hsnw#photos")
    assert "no index 'hsnw'" in str(caught.value) and "hnsw" in str(caught.value.hint)


@pytest.mark.parametrize("engine", ["postgres", "lite", "served"])
def test_an_index_never_runs_out_and_its_scores_are_exact(engine: str, request: pytest.FixtureRequest) -> None:
    base: str = request.getfixturevalue(engine)
    url = f"{base}{'&' if '?' in base else '?'}index=hnsw#approximate"
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(3000, 16)).astype(np.float16).astype(np.float32)
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16).astype(np.float32)
    store = open_store(url, 16, create=True)
    store.add(np.arange(3000, dtype=np.int64), vectors)
    store.flush()
    few = np.arange(0, 3000, 300, dtype=np.int64)
    for among, k in ((None, 10), (None, 2000), (few, 10), (few, 20)):
        allowed = np.arange(3000) if among is None else among
        found, scores = store.search(vectors[:3], k, among)
        for query, own, their in zip(vectors[:3], found, scores, strict=True):
            own, their = own[own >= 0], their[own >= 0]
            assert len(own) == min(k, len(allowed)) and set(own) <= set(allowed)
            np.testing.assert_array_equal(their, np.einsum("ce,e->c", vectors[own], query))
            best = allowed[np.argsort(-(vectors[allowed] @ query))[:k]]
            assert len(np.intersect1d(own, best)) >= 0.9 * len(own)
    store.delete(few)
    assert not np.isin(few, store.search(vectors[few], 30)[0]).any()
    store.close()
