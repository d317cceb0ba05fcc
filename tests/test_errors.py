"""Errors: every family says what happened and what to do, and optional packages name their extra."""

from __future__ import annotations

import pytest

from glotclip import errors


def families(kind: type[errors.GlotclipError]) -> list[type[errors.GlotclipError]]:
    return [kind, *(each for child in kind.__subclasses__() for each in families(child))]


@pytest.mark.parametrize("kind", families(errors.GlotclipError))
def test_message_and_hint_are_both_shown(kind: type[errors.GlotclipError]) -> None:
    error = kind("it broke", hint="mend it")
    assert (error.message, error.hint) == ("it broke", "mend it")
    assert str(error) == "it broke\n  → mend it"
    assert error.exit_code in (1, 2)


def test_wrong_arguments_have_an_exit_code_of_their_own() -> None:
    assert errors.ConfigError.exit_code == errors.LanguageError.exit_code == 2
    assert errors.DataError.exit_code == errors.PackError.exit_code == 1
    assert issubclass(errors.FingerprintError, errors.PackError)


def test_a_missing_package_names_its_extra() -> None:
    with pytest.raises(errors.MissingExtraError, match="drawing needs the package 'surely_not_there'") as caught:
        errors.require("surely_not_there.part", extra="report", purpose="drawing")
    assert caught.value.hint == "pip install 'glotclip[report]'"
    assert isinstance(caught.value, ImportError)
    assert errors.require("json", extra="x", purpose="y") is __import__("json")
