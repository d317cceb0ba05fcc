"""Names that are no UTF-8, an ASCII locale, a cache or home that cannot be written: no fault, and nothing is lost."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import World

pytestmark = pytest.mark.slow

ASCII = {"LC_ALL": "C", "PYTHONIOENCODING": "", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
LATIN = {**ASCII, "PYTHONIOENCODING": "latin-1"}
STRICT = {**ASCII, "PYTHONIOENCODING": "ascii:strict"}
NAMES = [
    b"gr\xc3\xbcn.png",
    b"caf\xe9.png",
    b"\xff\xfe.png",
    "狗🐶.png".encode(),
    b"line\nbreak.png",
    b"-rf.png",
    b"a\\xe9.png",
]


@pytest.fixture(scope="module")
def album(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures with names of every kind, and what is no picture."""
    folder = tmp_path_factory.mktemp("odd") / "album"
    folder.mkdir()
    for name, picture in zip(NAMES, sorted(world.pictures.iterdir()), strict=False):
        shutil.copy(picture, folder / os.fsdecode(name))
    with open(os.fsencode(folder) + b"/\xe9.pdf", "wb") as stream:  # noqa: PTH123 -- Path takes no bytes
        stream.write(b"x")
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.txt")).write_bytes(b"ein Haus\n")
    return folder


def decoded(world: World, *arguments: str | Path, locale: dict[str, str]) -> tuple[int, bytes, bytes]:
    """Exit code and what was written, as bytes: its encoding is the matter here."""
    command = [*world.command, *map(str, arguments)]
    done = subprocess.run(
        command, env={**world.environment, **locale}, capture_output=True, cwd=world.root, timeout=240, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("locale", [{}, ASCII, LATIN, STRICT], ids=["UTF-8", "ASCII", "Latin-1", "strict"])
def test_the_json_is_utf8_whatever_the_names_and_the_locale(
    world: World, extended: Path, album: Path, locale: dict[str, str]
) -> None:
    asked = ("search", extended, "grüner Kreis", "--images", album, "--lang", "de", "--top", "9", "--json")
    code, out, err = decoded(world, *asked, locale=locale)
    assert code == 0, err
    value = json.loads(out.decode("utf-8"))
    json.dumps(value, ensure_ascii=False).encode()  # no lone surrogates
    assert value["query"] == "grüner Kreis"
    assert sorted(unquote_to_bytes(hit["uri"].rpartition("/")[2]) for hit in value["hits"]) == sorted(NAMES)
    names = {hit["path"].rpartition("/")[2] for hit in value["hits"]}
    assert {"grün.png", "caf\\xe9.png", "\\xff\\xfe.png", "狗🐶.png", "line\nbreak.png", "-rf.png"} <= names
    assert {each["path"].rpartition("/")[2] for each in value["unused"]} == {"\\xe9.pdf", "caf\\xe9.txt"}


MANY = """
import json, sys
from glotclip.cli.main import run
print(json.dumps([run(command) for command in json.loads(sys.argv[1])]))
"""


@pytest.mark.parametrize("locale", [ASCII, LATIN, STRICT], ids=["ASCII", "Latin-1", "strict"])
def test_what_people_read_ends_in_no_fault_in_any_locale(
    world: World, extended: Path, album: Path, locale: dict[str, str], tmp_path: Path
) -> None:
    commands: dict[tuple[str | Path, ...], int] = {
        ("search", extended, "roter Kreis", "--images", album, "--lang", "de"): 0,
        ("search", extended, "roter Kreis", "--images", tmp_path / "no-such-folder", "--lang", "de"): 1,
        ("pack", "list", extended): 0,
        ("data", "check", album): 1,  # the caption file does not say its language, and its name is no UTF-8
        ("data", "list"): 0,
        ("evaluate", extended, "--benchmark", world.captions, "--intervals", "0"): 0,
        ("--help",): 0,
        ("search", "--help"): 0,
        ("searhc",): 2,
        tuple(world.extend(tmp_path / "out", "de")): 0,
    }
    many = [[str(word) for word in command] for command in commands]
    done = subprocess.run(
        [world.command[0], "-c", MANY, json.dumps(many)], env={**world.environment, **locale}, capture_output=True,
        cwd=world.root, timeout=290, check=False,
    )  # fmt: skip
    encoding = "latin-1" if locale is LATIN else "ascii"
    out, err = done.stdout.decode(encoding), done.stderr.decode(encoding)
    assert json.loads(out.splitlines()[-1]) == list(commands.values()), err
    assert "Traceback" not in err and "unexpected" not in err
    assert "gr\\xfcn.png" in out or "grün.png" in out


def test_an_output_folder_with_a_foreign_name_in_an_ascii_locale(world: World, tmp_path: Path) -> None:
    code, _, err = decoded(world, *world.extend(tmp_path / "größe", "de"), locale=ASCII)
    assert code == 0, err
    assert (tmp_path / "größe" / "polyglot.json").exists()


@pytest.mark.parametrize(
    "way", ["a file in its place", "below a file", "no home", "home is a file", "no such file system"]
)
def test_without_a_cache_every_command_works_in_memory_and_says_so_once(
    world: World, extended: Path, way: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    place = {
        "a file in its place": {"GLOTCLIP_CACHE": str(tmp_path / "file")},
        "below a file": {"GLOTCLIP_CACHE": str(tmp_path / "file" / "cache")},
        "no such file system": {"GLOTCLIP_CACHE": "/proc/none"},
        "home is a file": {"GLOTCLIP_CACHE": "", "HOME": str(tmp_path / "file"), "XDG_CACHE_HOME": ""},
        "no home": {"GLOTCLIP_CACHE": "~nobody-of-this-name/cache"},
    }[way]
    program = tmp_path / "engine.py"
    program.write_text("import sys\nfor line in sys.stdin: print(line.strip().upper())\n")
    engine = f"command:python3 {program}"
    out, err = world.run(
        "search", extended, "roter Kreis", "--images", world.pictures, "--lang", "de", "--json", more=place
    )
    assert len(json.loads(out)["hits"]) == 5
    assert len(re.findall("cannot be written", err)) == 1, err
    assert not list(world.root.glob("~*"))  # an unresolved home is no folder's name
    if way != "below a file":
        return
    out, err = world.run(
        "evaluate", extended, "--benchmark", world.captions, "--intervals", "0", "--translate", engine,
        "--langs", "de", "--json", more=place,
    )  # fmt: skip
    assert json.loads(out)["gallery_images"] == 3
    assert len(re.findall("cannot be written", err)) == 1, err
    world.run(*world.extend(tmp_path / "out", "de"), "--set", "steps=2", more=place)


def test_with_a_full_disk_the_cache_is_done_without(world: World, extended: Path, tmp_path: Path) -> None:
    """The disk of the cache is full: what is asked is answered, and nothing half-written stays."""
    limited = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
    limited += "resource.setrlimit(resource.RLIMIT_FSIZE, (64, resource.RLIM_INFINITY));"
    world_full = type(world)(
        world.root, world.base, world.pictures, world.captions,
        (world.command[0], "-c", f"{limited} from glotclip.cli.main import main; main()"),
    )  # fmt: skip
    place = {"GLOTCLIP_CACHE": str(tmp_path / "cache")}
    asked = ("search", extended, "roter Kreis", "--images", world.pictures, "--lang", "de", "--json")
    out, err = world_full.run(*asked, more=place)
    assert err.count("cannot be written") == 1
    again, err = world.run(*asked, more=place)
    assert json.loads(again)["hits"] == json.loads(out)["hits"] and "cannot be written" not in err
