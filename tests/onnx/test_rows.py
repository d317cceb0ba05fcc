"""Token tables on disk against the matrices that they hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from glotclip.errors import CheckpointError
from glotclip.onnx.rows import LEVELS, Rows, TokenTable, quantised, read_rows, write_rows

TABLE = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32)


@given(st.sets(st.integers(0, 59)), st.lists(st.integers(0, 59), min_size=1))
def test_a_language_reads_its_own_rows_and_else_the_bases(own: set[int], asked: list[int]) -> None:
    """Ids beyond the base's table that the language does not hold occur in no text; here they read the last row."""
    ids = np.array(sorted(own), dtype=np.int64)
    rows = np.random.default_rng(1).standard_normal((len(ids), 6)).astype(np.float32)
    whole = np.concatenate([TABLE, np.repeat(TABLE[-1:], 20, axis=0)])
    whole[ids] = rows
    wanted = np.array(asked)
    table = TokenTable(Rows(TABLE), Rows(rows, None, ids))
    assert np.array_equal(table.look_up(wanted), whole[wanted])
    assert np.array_equal(table.look_up(wanted.reshape(1, -1)), whole[wanted][None])


@example(np.full((5, 4), 7.76e-43, np.float32))
@given(arrays.arrays(np.float32, (5, 4), elements=st.floats(-1e3, 1e3, width=32)))
def test_small_integers_are_off_by_half_a_step_at_most(rows: np.ndarray) -> None:
    values, factors = quantised(rows)
    assert values.dtype == np.int8 and np.abs(values.astype(int)).max() <= LEVELS
    assert (np.abs(values * factors[:, None] - rows) <= factors[:, None] * 0.501).all()


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("ids", [None, np.arange(0, 80, 2)])
def test_what_is_written_is_read(tmp_path: Path, small: bool, ids: np.ndarray | None) -> None:
    write_rows(tmp_path, "table", TABLE, ids, small=small)
    found = read_rows(tmp_path, "table")
    assert found.take(np.arange(40)) == pytest.approx(TABLE, abs=0.02 if small else 0)
    assert (found.ids is None) if ids is None else np.array_equal(found.ids, ids)  # type: ignore[arg-type]


def test_half_precision_is_taken_where_it_holds_every_number(tmp_path: Path) -> None:
    write_rows(tmp_path, "exact", TABLE.astype(np.float16).astype(np.float32), small=False)
    write_rows(tmp_path, "other", TABLE, small=False)
    assert read_rows(tmp_path, "exact").values.dtype == np.float16
    assert read_rows(tmp_path, "other").values.dtype == np.float32


def test_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"table\.npy is missing or damaged"):
        read_rows(tmp_path, "table")
    write_rows(tmp_path, "table", TABLE, small=True)
    np.save(tmp_path / "table.factors.npy", np.ones(3, np.float32))
    with pytest.raises(CheckpointError, match="do not fit together"):
        read_rows(tmp_path, "table")
    (tmp_path / "table.npy").write_bytes(b"\x93NUMPY nothing")
    with pytest.raises(CheckpointError, match="damaged"):
        read_rows(tmp_path, "table")
