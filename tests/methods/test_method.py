"""Methods by name: what each stands for, its settings with their shorthands, and what is said of unknown ones."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import glotclip.methods
from glotclip.config import settings_from
from glotclip.errors import ConfigError, PackError
from glotclip.methods.method import SHORTHANDS, Method, method_named, methods, module_named
from glotclip.methods.module import REGISTRY
from glotclip.methods.settings import ModuleSettings
from glotclip.training.settings import TrainSettings

EVERY = sorted(methods())
MODULES = {
    "acquirer": ["lexicon", "acquirer"],
    "adapter": ["lexicon", "norms", "adapter"],
    "coda-prompt": ["lexicon", "coda-prompt"],
    "compacter": ["lexicon", "norms", "compacter"],
    "dual-prompt": ["lexicon", "dual-prompt"],
    "encoder": ["encoder"],
    "full": ["lexicon", "full"],
    "hard-prompt": ["lexicon", "hard-prompt"],
    "lexicon": ["lexicon"],
    "lora": ["lexicon", "norms", "lora"],
    "norms": ["lexicon", "norms"],
    "prefix": ["lexicon", "prefix"],
    "soft-prompt": ["lexicon", "soft-prompt"],
}


def test_the_methods_are_these_with_these_modules_by_default() -> None:
    found = {name: [module.kind for module in each.modules(each.config())] for name, each in methods().items()}
    assert found == MODULES
    assert list(methods()) == sorted(MODULES)
    assert all(method.summary and not method.summary.endswith(".") for method in methods().values())
    assert {name for name, each in REGISTRY.items() if not each.summary} == {"multilingual", "table"}


@pytest.mark.parametrize("name", sorted(set(EVERY) - {"lexicon", "encoder"}))
def test_any_module_goes_with_any_embedding(name: str) -> None:
    method = method_named(name)
    for embedding in ("lexicon", "multilingual", "base"):
        config = method.config({"embedding": embedding, "norms": True})
        kinds = [module.kind for module in method.modules(config)]
        assert kinds[0] == (embedding if embedding != "base" else "norms")
        assert {"norms", name} <= set(kinds)
        assert len(kinds) == len(set(kinds))


@pytest.mark.parametrize("name", EVERY)
def test_defaults_are_settings_and_no_setting_has_two_meanings(name: str) -> None:
    """A name that the trainer has as well would never reach the method."""
    method = method_named(name)
    own, loop = set(method.settings.model_fields), set(TrainSettings.model_fields)
    assert not own & loop
    assert set(method.defaults) <= own | loop
    settings_from(TrainSettings, {k: v for k, v in method.defaults.items() if k in loop}, where="the defaults")
    module = module_named(name)
    assert module.Config is method.settings or not set(module.Config.model_fields) & set(ModuleSettings.model_fields)
    assert method.settings.__doc__
    assert all(field.description for field in method.settings.model_fields.values())


def test_a_method_without_a_lexicon_has_none_of_its_settings() -> None:
    encoder = method_named("encoder")
    assert not {"embedding", "vocabulary", *SHORTHANDS} & encoder.setting_names()
    with pytest.raises(ConfigError, match="teir"):
        encoder.config({"teir": False})


@pytest.mark.parametrize("name", sorted(set(EVERY) - {"encoder"}))
def test_a_shorthand_stands_for_its_settings(name: str) -> None:
    method = method_named(name)
    assert set(SHORTHANDS) <= method.setting_names()
    pieces = ("teir_init", "teir_gradient", "teir_decay")
    config = method.config({"teir": False}).model_dump()
    assert [config[piece] for piece in pieces] == [False] * 3
    mixed = method.config({"teir": False, "teir_decay": True}).model_dump()  # a name of its own wins
    assert [mixed[piece] for piece in pieces] == [False, False, True]


def test_pects_methods_start_from_the_papers_choices() -> None:
    for name in ("lora", "adapter", "compacter", "norms", "soft-prompt", "hard-prompt", "prefix", "full"):
        method = method_named(name)
        config = method.config()
        assert (config.cross_modal, config.temperature, config.learn_temperature) == (1.0, 0.01, False)
        assert method.defaults["weight_decay"] == 0.0
        assert isinstance(config, ModuleSettings)
        assert config.norms is (name in ("lora", "adapter", "compacter", "norms"))


def test_an_unknown_method_is_guessed_and_all_are_listed() -> None:
    with pytest.raises(ConfigError, match="unknown method 'loar'") as caught:
        method_named("loar")
    assert caught.value.hint == f"did you mean 'lora'? methods: {', '.join(EVERY)}"
    with pytest.raises(ConfigError) as caught:
        method_named("zzz")
    assert caught.value.hint == f"methods: {', '.join(EVERY)}"


def test_an_unknown_module_of_a_pack_is_named() -> None:
    with pytest.raises(PackError, match="unknown kind 'sorcery'") as caught:
        module_named("sorcery")
    assert "pip install -U glotclip" in str(caught.value.hint)


def test_an_unknown_setting_is_guessed() -> None:
    with pytest.raises(ConfigError, match="unknown setting 'rnak' in the settings of lora") as caught:
        method_named("lora").config({"rnak": 3})
    assert str(caught.value.hint).startswith("did you mean 'rank'?")


def test_every_file_with_a_registration_is_found() -> None:
    """Nothing but the file itself names a module for it to be there."""
    declared = set()
    for path in Path(glotclip.methods.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for call in node.decorator_list if isinstance(node, ast.ClassDef) else ():
                if isinstance(call, ast.Call) and getattr(call.func, "id", "").startswith("register_"):
                    assert isinstance(call.args[0], ast.Constant)
                    declared.add(call.args[0].value)
    assert declared == set(REGISTRY)
    assert all(isinstance(each, Method) for each in methods().values())
