"""The settings that methods share: who shares what, and which modules stand beside a method's own."""

from __future__ import annotations

from typing import Any

import pytest

from glotclip.config import settings_from
from glotclip.errors import ConfigError
from glotclip.methods.lexicon import LexiconConfig
from glotclip.methods.objective import MethodSettings
from glotclip.methods.settings import ModuleSettings


@pytest.mark.parametrize(
    ("values", "beside"),
    [
        ({}, ("lexicon",)),
        ({"norms": True}, ("lexicon", "norms")),
        ({"embedding": "multilingual"}, ("multilingual",)),
        ({"embedding": "base"}, ()),
        ({"embedding": "base", "norms": True}, ("norms",)),
    ],
)
def test_beside_the_methods_own_module(values: dict[str, Any], beside: tuple[str, ...]) -> None:
    assert ModuleSettings.model_validate(values).beside == beside


def test_shared_modules_need_a_shared_pack() -> None:
    with pytest.raises(ConfigError, match="modules=shared needs isolation=shared"):
        settings_from(ModuleSettings, {"modules": "shared"}, where="a test")
    assert settings_from(ModuleSettings, {"modules": "shared", "isolation": "shared"}, where="a test")


def test_who_covers_the_bases_languages() -> None:
    assert not MethodSettings().covers_base
    assert LexiconConfig().covers_base
    assert not ModuleSettings().covers_base
    assert ModuleSettings(english="taught").covers_base


def test_only_a_shared_embedding_that_trains_first_is_frozen() -> None:
    settings = ModuleSettings(isolation="shared", embedding_trains="first")
    assert settings.freezes("lexicon")
    assert not settings.freezes("multilingual")
    assert not settings.freezes("acquirer")
    assert not ModuleSettings(isolation="shared").freezes("lexicon")
    assert not ModuleSettings(embedding_trains="first").freezes("lexicon")
    assert not LexiconConfig(isolation="shared").freezes("lexicon")


def test_the_embedding_alone_has_a_rate_of_its_own() -> None:
    settings = ModuleSettings(embedding="multilingual", embedding_rate=0.1)
    assert settings.lr_scale("multilingual") == 0.1
    assert settings.lr_scale("lexicon") == settings.lr_scale("acquirer") == 1.0
    assert LexiconConfig().lr_scale("lexicon") == 1.0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"embedding": "bert"}, "'lexicon', 'multilingual' or 'base'"),
        ({"embedding_rate": 0}, "greater than 0"),
        ({"bert_trains": "bias"}, "'all', 'projection' or 'rows'"),
        ({"vocabulary": -1}, "greater than or equal to 0"),
    ],
)
def test_senseless_settings_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings_from(ModuleSettings, values, where="a test")
