"""A curriculum: what does not go together is refused before anything is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from glotclip.errors import ConfigError

if TYPE_CHECKING:
    from tests.conftest import School


@pytest.mark.parametrize(
    ("tasks", "settings", "said"),
    [
        ([("de", "fr")], {"isolation": "per-language"}, "languages learnt jointly share their weights"),
        ([("de",)], {"isolation": "per-language", "strategy": "er"}, "strategy=er is against forgetting"),
        ([("de",)], {"isolation": "shared", "strategy": "er", "target_encoder": "trained"}, "strategy=er holds"),
        ([("de",)], {"fold": "latin"}, "concerns none of de"),
    ],
)
def test_what_does_not_go_together(school: School, tasks: Any, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        school.curriculum(*tasks, **settings)


def test_steps_and_packs_of_its_tasks(school: School) -> None:
    shared = school.curriculum(("de", "fr"), ("hi",), isolation="shared", steps=None, epochs=2, batch_size=6)
    assert shared.languages == ("de", "fr", "hi")
    assert [shared.steps(task, school.captions) for task in shared.tasks] == [(8,), (4,)]
    assert [shared.pack_name(task) for task in shared.tasks] == ["shared", "shared"]
    apart = school.curriculum(("de",), ("hi",), isolation="per-language")
    assert [apart.pack_name(task) for task in apart.tasks] == ["de", "hi"]
    assert (shared.builds_on_packs, apart.builds_on_packs) == (True, False)


def test_the_base_keeps_its_own_form_and_translations_are_read_as_english(school: School) -> None:
    plain = school.curriculum(("de",))
    assert plain.text_form("en", school.base) is school.base.text_form
    assert plain.text_form("de", school.base).name == "unicode-1"
    assert school.curriculum(("de",), text_form="none").text_form("de", school.base).name == "none"
