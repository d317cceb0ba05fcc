"""The fingerprint changes with every bit that matters, and with nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from glotclip.fingerprint import fingerprint, record_of


def test_it_sees_values_names_shapes_types_and_facts_only() -> None:
    a, b = torch.arange(6.0), torch.ones(2)
    known = fingerprint({"a": a, "b": b}, kind="x")
    assert known.startswith("sha256:")
    assert len(known) == len("sha256:") + 32
    assert fingerprint({"b": b.clone(), "a": a.clone()}, kind="x") == known  # order does not matter
    assert fingerprint({"a": a.repeat_interleave(2)[::2], "b": b}, kind="x") == known  # nor does memory layout
    nudged = a.clone()
    nudged[3] = torch.nextafter(nudged[3], torch.tensor(9.0))
    others = [
        fingerprint({"a": nudged, "b": b}, kind="x"),
        fingerprint({"a": b, "b": a}, kind="x"),
        fingerprint({"a": a.view(2, 3), "b": b}, kind="x"),
        fingerprint({"a": a.view(torch.int32), "b": b}, kind="x"),
        fingerprint({"a": a, "b": b}, kind="y"),
        fingerprint({"a": a, "b": b}),
        fingerprint({"a": a}, kind="x"),
    ]
    assert len({known, *others}) == len(others) + 1


def test_scalars_empty_and_low_precision() -> None:
    kinds = [torch.tensor(1.0), torch.tensor(1.0, dtype=torch.bfloat16), torch.zeros(0), torch.tensor(True)]
    assert len({fingerprint({"a": tensor}) for tensor in kinds}) == len(kinds)


@dataclass(frozen=True)
class Settings:
    width: int = 3
    added: int = 0


def test_a_field_that_came_later_counts_only_where_it_is_not_at_its_default() -> None:
    assert record_of(Settings(), later=("added",)) == {"width": 3}
    assert record_of(Settings(added=1), later=("added",)) == {"width": 3, "added": 1}
