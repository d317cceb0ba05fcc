"""Tables in few bytes a row: how near they come back, how small they are, and that halves of one are refused."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glotclip.errors import PackError
from glotclip.packs.quantised import FEWEST, Store, restored, stored


def table(rows: int, width: int, seed: int) -> torch.Tensor:
    """Rows around 40 centres, as words of a language are."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(40, width, generator=generator)
    chosen = torch.randint(40, (rows,), generator=generator)
    return centres[chosen] + 0.2 * torch.randn(rows, width, generator=generator)


@settings(max_examples=12)
@given(st.sampled_from([3, 900, FEWEST, 2000]), st.sampled_from([12, 48]), st.integers(0, 5))
def test_what_comes_back_is_near(rows: int, width: int, seed: int) -> None:
    weights = {"a.rows": table(rows, width, seed), "a.ids": torch.arange(rows, dtype=torch.int32)}
    for store, error in (("fp32", 0.0), ("fp16", 1e-3), ("int8", 1e-2), ("pq", 0.3)):
        written = stored(weights, store, width // 4)  # type: ignore[arg-type]
        back = restored(written)
        assert set(back) == set(weights) and torch.equal(back["a.ids"], weights["a.ids"])
        assert back["a.rows"].shape == weights["a.rows"].shape
        distance = (back["a.rows"].float() - weights["a.rows"]).norm() / weights["a.rows"].norm()
        assert float(distance) <= error
        again = stored(weights, store, width // 4)  # type: ignore[arg-type]
        assert all(torch.equal(written[name], again[name]) for name in written)


def test_sizes_and_what_is_no_table() -> None:
    weights = {"rows": table(FEWEST, 32, 0), "few": table(FEWEST - 1, 32, 0), "bias": torch.ones(32)}

    def size(store: Store, row_bytes: int = 8) -> int:
        return stored(weights, store, row_bytes)["rows#codes"].nbytes

    assert size("int8") == FEWEST * 32 and size("pq") == FEWEST * 8 and size("pq", 16) == FEWEST * 16
    assert stored(weights, "pq", 8)["few"].dtype == torch.float16
    assert "rows#scale" in stored(weights, "pq", 7)  # 32 is no multiple of 7


def test_more_bytes_come_nearer() -> None:
    rows = table(3000, 48, 1)

    def error(store: Store, row_bytes: int = 0) -> float:
        return float((restored(stored({"rows": rows}, store, row_bytes))["rows"] - rows).norm())

    assert error("int8") < error("pq", 24) < error("pq", 12) < error("pq", 6)


@pytest.mark.parametrize("lost", ["rows#scale", "rows#centroids"])
def test_a_table_that_is_not_whole_is_refused(lost: str) -> None:
    written = stored({"rows": table(FEWEST, 16, 0)}, "int8" if lost == "rows#scale" else "pq", 4)
    del written[lost]
    with pytest.raises(PackError, match="rows is not whole"):
        restored(written)


def test_rows_of_zeros() -> None:
    back = restored(stored({"rows": torch.zeros(FEWEST, 8)}, "int8", 4))
    assert torch.equal(back["rows"], torch.zeros(FEWEST, 8))
