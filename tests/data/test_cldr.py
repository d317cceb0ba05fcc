import json
from pathlib import Path

import pytest

from glotclip.data import cldr
from glotclip.data.cldr import EmojiNames
from glotclip.errors import DataError

GRIN, CAPTAIN, SUN = "😀", "👨‍✈", "☀"
#: locale → half → emoji → (name, keywords)
CONTENT: dict[str, dict[str, dict[str, tuple[str, list[str]]]]] = {
    "de": {
        "annotations": {GRIN: ("grinsendes Gesicht", ["Gesicht", "lachen"]), SUN: ("Sonne", ["hell", "Sonne"])},
        "annotationsDerived": {CAPTAIN: ("Pilot", ["Flugzeug"])},
    },
    "de-CH": {"annotations": {SUN: ("Sünneli", ["↑↑↑"]), GRIN: ("↑↑↑", [])}},
    "zh": {"annotations": {SUN: ("太阳", [])}},
    "zh-Hant": {"annotations": {SUN: ("太陽", [])}},
    "sr": {"annotations": {SUN: ("сунце", [])}},
}


def _json_tree(root: Path) -> Path:
    for locale, halves in CONTENT.items():
        for half, package in zip(("annotations", "annotationsDerived"), cldr._PACKAGES, strict=True):
            entries = {
                sign: {"default": words, "tts": [name]} for sign, (name, words) in halves.get(half, {}).items()
            }
            path = root / package / half / locale / "annotations.json"
            path.parent.mkdir(parents=True)
            # Some locales of the real packages lack the inner key altogether.
            path.write_text(json.dumps({half: {"identity": {}} | ({"annotations": entries} if entries else {})}))
    return root


def _xml_tree(root: Path) -> Path:
    for locale, halves in CONTENT.items():
        for half, entries in halves.items():
            lines = [
                f'<annotation cp="{sign}">{" | ".join(words)}</annotation>\n'
                f'<annotation cp="{sign}" type="tts">{name}</annotation>'
                for sign, (name, words) in entries.items()
            ]
            path = root / half / f"{locale.replace('-', '_')}.xml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(
                '<?xml version="1.0" encoding="UTF-8" ?><!DOCTYPE ldml SYSTEM "../../common/dtd/ldml.dtd">\n'
                f"<ldml><annotations>{''.join(lines)}</annotations></ldml>",
                encoding="utf-8",
            )
    (root / "annotations" / "root.xml").write_text("<ldml/>")
    return root


@pytest.fixture(params=["json", "xml"])
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return _json_tree(tmp_path) if request.param == "json" else _xml_tree(tmp_path)


def test_both_layouts_give_the_same_names(tree: Path) -> None:
    assert cldr.locales(tree) == ["de", "de-CH", "sr", "zh", "zh-Hant"]
    assert cldr.names(tree, "de") == {
        GRIN: EmojiNames("grinsendes Gesicht", ("Gesicht", "lachen")),
        SUN: EmojiNames("Sonne", ("hell", "Sonne")),
        CAPTAIN: EmojiNames("Pilot", ("Flugzeug",)),
    }


def test_regions_inherit_and_override(tree: Path) -> None:
    assert cldr.names(tree, "de-AT") == cldr.names(tree, "de")
    swiss = cldr.names(tree, "de-CH")
    assert swiss[SUN].name == "Sünneli"
    assert swiss[GRIN].name == "grinsendes Gesicht"
    assert cldr.names(tree, "zh-TW")[SUN].name == "太陽"
    assert cldr.names(tree, "sr-Latn") == {}
    assert cldr.names(tree, "fr") == {}


@pytest.mark.parametrize(
    ("lang", "chain"),
    [
        ("de", ["de", "de-Latn"]),
        ("de-AT", ["de-AT", "de", "de-Latn"]),
        ("zh-Hant-HK", ["zh-Hant-HK", "zh-Hant"]),
        ("zh-HK", ["zh-HK", "zh-Hant-HK", "zh-Hant"]),
        ("zh-Hans", ["zh-Hans", "zh"]),
        ("sr-Latn", ["sr-Latn"]),
        ("en-GB", ["en-GB", "en-001", "en", "en-Latn"]),
        ("es-MX", ["es-MX", "es-419", "es", "es-Latn"]),
        ("nb", ["nb", "nb-Latn", "no"]),
        ("nn-NO", ["nn-NO", "nn", "nn-Latn", "no"]),
    ],
)
def test_inheritance(lang: str, chain: list[str]) -> None:
    assert cldr.inheritance(lang) == chain


def test_where_it_is_looked_for(
    tree: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert cldr.find() is None
    monkeypatch.setattr(cldr, "DEBIAN", tree)
    assert cldr.find() == tree
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("GLOTCLIP_CACHE", str(cache))
    _json_tree(cache / "data")
    assert cldr.find() == cache / "data"
    monkeypatch.setenv("GLOTCLIP_CLDR", str(tree))
    assert cldr.find() == tree
    assert cldr.find(cache / "data") == cache / "data"
    with pytest.raises(DataError, match="holds no CLDR annotations"):
        cldr.find(tree / "nothing")


def test_npm_folders_may_be_named_themselves(tmp_path: Path) -> None:
    _json_tree(tmp_path)
    assert CAPTAIN in cldr.names(tmp_path / "cldr-annotations-full", "de")
    with pytest.raises(DataError):
        cldr.find(tmp_path / "something-else")


def test_damaged_files_are_named(tree: Path) -> None:
    for path in [*tree.rglob("de.xml"), *tree.rglob("de/annotations.json")]:
        path.write_text("{<")
    with pytest.raises(DataError, match="de"):
        cldr.names(tree, "de")
    for path in tree.rglob("sr/annotations.json"):
        path.write_text("[]")
        with pytest.raises(DataError, match="not laid out"):
            cldr.names(tree, "sr")
