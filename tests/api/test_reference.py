"""What can be set, read off the classes that declare it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from glotclip.api.reference import Setting, groups_of, method_costs, method_reference
from glotclip.config import Settings
from glotclip.methods.method import methods


class Wheels(Settings):
    """What rolls."""

    count: int = Field(4, description="how many")


class Car(Wheels):
    """A car."""

    colour: Literal["red", "green"] = Field("red", description="of the paint")
    names: tuple[str, ...] = Field((), description="of its owners")
    speed: float | None = Field(None, description="at most")


def test_settings_stand_under_the_class_that_declares_them() -> None:
    car, wheels = groups_of(Car, {"count": 3})
    assert (car.title, wheels.title) == ("A car.", "What rolls.")
    assert wheels.settings == (Setting("count", "whole number", 3, "how many"),)
    assert [each.kind for each in car.settings] == ["red | green", "list of text", "number"]
    assert [each.default for each in car.settings] == ["red", "", ""]


def test_no_setting_is_told_twice() -> None:
    for method in methods().values():
        names = [each.name for group in method_reference(method) for each in group.settings]
        assert len(names) == len(set(names))


def test_costs_are_those_of_vit_b_32() -> None:
    costs = {row["method"]: row["weights a language"] for row in method_costs()}
    assert costs["lexicon"] == costs["hard-prompt"] == "512 a token row"
    assert costs["soft-prompt"] == "2,048 and 512 a token row"
