"""Nothing is written over that glotclip did not make: generated folders, every writing command and function."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glotclip import ownership
from glotclip.cli.main import run
from glotclip.data.listing import list_folder
from glotclip.errors import GlotclipError, StorageError
from glotclip.evaluation import report
from glotclip.models.checkpoints import save_base
from glotclip.ownership import Workplace
from glotclip.packs.folder import RECORD, PolyglotFolder
from glotclip.packs.polyglot import Polyglot
from glotclip.packs.saving import add_packs
from glotclip.training.extension import Extension

if TYPE_CHECKING:
    from tests.conftest import MakeBase, School

pytestmark = pytest.mark.slow


def content(folder: Path) -> dict[str, str]:
    """Hash of every file, target of every link, and every folder."""

    def of(path: Path) -> str:
        if path.is_symlink():
            return f"link to {path.readlink()}"
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"

    return {path.relative_to(folder).as_posix(): of(path) for path in sorted(folder.rglob("*"))}


@dataclass(frozen=True)
class Shelf:
    """What the commands read: a base and a copy that differs, captions, a LoRA model, an adapter, recipes."""

    root: Path

    @property
    def engine(self) -> str:
        """A translation engine that shouts."""
        return f"command:{sys.executable} {self.root / 'shout.py'}"

    def __getattr__(self, name: str) -> Path:
        return self.root / name.replace("_", "-")


@pytest.fixture(scope="module")
def shelf(
    tmp_path_factory: pytest.TempPathFactory, school: School, make_base: MakeBase, drawn: Path
) -> Iterator[Shelf]:
    root = tmp_path_factory.mktemp("shelf")
    save_base(school.base, root / "base")
    save_base(make_base(1), root / "tuned")
    shutil.copytree(drawn.parent, root / "data")
    teach(school, root / "model", "de", source=str(root / "base"))
    (root / "in.txt").write_text("a dog\n", encoding="utf-8")
    (root / "shout.py").write_text("import sys\nsys.stdout.write(sys.stdin.read().upper())\n", encoding="utf-8")
    (root / "recipe.yaml").write_text(
        f"model: {root / 'base'}\ndata: {root / 'data' / 'captions.csv'}\nlanguages: [de]\nruns: [{{name: apart}}]\n",
        encoding="utf-8",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLOTCLIP_CACHE", str(root / "cache"))
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield Shelf(root)


def teach(school: School, folder: Path, code: str, *, source: str = "nowhere") -> Polyglot:
    """One step of one language, into a folder that may have others already."""
    home = PolyglotFolder(folder)
    start = Polyglot.open(home, school.base) if home.is_one(folder) else Polyglot(school.base, source=source)
    curriculum = school.curriculum((code,), isolation="per-language", steps=1, vocabulary=0)
    Extension(home, start, school.captions, curriculum).run()
    return Polyglot.open(home, school.base)


def called(*arguments: object) -> tuple[int, str]:
    """Run a command in this process; its exit code and what it complained."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run([str(argument) for argument in arguments])
    return code, err.getvalue()


FOLDER_COMMANDS: Mapping[str, Callable[[Shelf, Path], list[object]]] = {
    "extend": lambda s, out: ["extend", s.base, "--lang", "de", "--data", s.data / "captions.csv", "--out", out],
    "extend, dry": lambda s, out: [*FOLDER_COMMANDS["extend"](s, out), "--dry-run"],
    "extend itself": lambda s, out: ["extend", out, "--lang", "de", "--data", s.data / "captions.csv", "--out", out],
    "compare": lambda s, out: ["compare", s.root / "recipe.yaml", "--out", out],
    "finetune": lambda s, out: ["finetune", s.base, "--data", s.data / "captions.csv", "--out", out],
    "train-base": lambda s, out: ["train-base", "--out", out],
    "demo": lambda s, out: ["demo", "--quick", "--no-serve", "--out", out],
    "rebase": lambda s, out: ["pack", "rebase", s.model, "--base", s.tuned, "--out", out],
    "to-peft": lambda s, out: ["pack", "to-peft", s.model, "--lang", "de", "--out", out],
    "from-peft": lambda s, out: ["pack", "from-peft", s.base, s.adapter, "--lang", "fr", "--out", out],
    "remove": lambda s, out: ["pack", "remove", out, "de"],
    "add": lambda s, out: ["pack", "add", out, s.model],
}
FILE_COMMANDS: Mapping[str, Callable[[Shelf, Path], list[object]]] = {
    "evaluate": lambda s, out: ["evaluate", s.base, "--benchmark", s.data / "captions.csv", "--out", out],
    "translate": lambda s, out: ["translate", s.root / "in.txt", out, "--to", "de", "--engine", s.engine],
    "check": lambda s, out: ["data", "check", s.data / "captions.csv", "--bad-rows", out],
    "export": lambda s, out: ["pack", "export", s.model, out],
}
OUR_NAMES = (
    "config.json", "log.jsonl", "results.json", "report.md", "report.html", "skipped.txt", RECORD, "recipe.json",
    "training.json", "glotclip.json", "model.safetensors", "glotclip-tokenizer.json", "adapter_config.json",
    ".lock", ".run/de.0.safetensors", ".run/before/config.json", ".memory/1.safetensors", "packs/fr-1/manifest.json",
    "packs/de-2/pack.safetensors", "packs/holiday-2024/dog.jpg", "cells/apart-0.json", "work/apart-0/mark.json",
    "work/apart-0/model/polyglot.json", "work/apart-0.log", "base/glotclip.json", "per-language/polyglot.json",
)  # fmt: skip
CONTENTS = (
    b"",
    b"{}",
    b"[]",
    b"null",
    b'{"format": 1}',
    b"mine\n",
    b"\x00\xff",
    b'{"glotclip": "0.1.0", "tasks": []}',
)
_letters = st.sampled_from("abäß-_ .1狗")
_names = st.one_of(
    st.sampled_from(OUR_NAMES),
    st.text(_letters, min_size=1, max_size=8).filter(lambda name: name.strip(". ") != ""),
)
foreign = st.dictionaries(
    _names, st.one_of(st.sampled_from(CONTENTS), st.binary(max_size=40)), min_size=1, max_size=4
)


def put(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files, where nothing is in the way."""
    for name, data in files.items():
        path = folder / name
        with contextlib.suppress(FileExistsError, NotADirectoryError, IsADirectoryError):
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                path.write_bytes(data)


def refused(code: int, said: str) -> None:
    message, hint = said.strip().splitlines()[-2:]
    assert (code in (1, 2), message.startswith("error: "), hint.startswith("  → ")) == (True, True, True), said
    assert not message.startswith("error: unexpected")
    assert "Traceback" not in said


@pytest.mark.slow
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    files=foreign,
    commands=st.lists(st.sampled_from(list(FOLDER_COMMANDS)), min_size=1, max_size=2),
    file_command=st.sampled_from(list(FILE_COMMANDS)),
)
def test_every_command_leaves_a_foreign_folder_alone(
    shelf: Shelf, files: dict[str, bytes], commands: list[str], file_command: str
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "mine"
        put(folder, files)
        before = content(Path(name))
        for command in commands:
            refused(*called(*FOLDER_COMMANDS[command](shelf, folder)))
            assert content(Path(name)) == before
        path = next(path for path in sorted(folder.rglob("*")) if path.is_file())
        if file_command == "export":
            path = path.rename(path.with_name("a.tar.gz"))
            before = content(Path(name))
        refused(*called(*FILE_COMMANDS[file_command](shelf, path)))
        assert content(Path(name)) == before


@pytest.mark.slow
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=foreign)
def test_every_function_leaves_a_foreign_folder_alone(shelf: Shelf, school: School, files: dict[str, bytes]) -> None:
    polyglot = Polyglot.open(shelf.model, school.base)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "mine"
        put(folder, files)
        before = content(folder)
        for write in (
            lambda: polyglot.save(folder),
            lambda: teach(school, folder, "fr"),
            lambda: save_base(school.base, folder),
            lambda: add_packs(PolyglotFolder(folder), shelf.model),
            lambda: ownership.write_file(next(path for path in folder.rglob("*") if path.is_file()), b"new"),
        ):
            with pytest.raises(GlotclipError):
                write()
            assert content(folder) == before
        with contextlib.suppress(StorageError):  # it writes two files beside others
            report.write(report.Report("one", ()), folder)
        assert before.items() <= content(folder).items()


@pytest.mark.slow
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=foreign, edited=st.sets(st.sampled_from(["config.json", "log.jsonl"])))
def test_in_a_folder_of_its_own_only_what_it_made_changes(
    shelf: Shelf, school: School, files: dict[str, bytes], edited: set[str]
) -> None:
    """The user's files lie in a model folder, also in the places of ours, and two of ours were edited."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "model"
        shutil.copytree(shelf.model, folder)
        for each in edited:
            (folder / each).write_bytes(b"edited " + (folder / each).read_bytes())
        made = set(content(folder)) - edited
        put(folder, files)
        theirs = {name: value for name, value in content(folder).items() if name not in made}

        def kept() -> bool:
            now = content(folder)
            return all(now.get(name) == value for name, value in theirs.items())

        with contextlib.suppress(GlotclipError):
            teach(school, folder, "fr")
        assert kept()
        report_refused = called("extend", folder, "--lang", "hi", "--data", shelf.data / "captions.csv",
                                "--out", folder, "--dry-run")[0]  # fmt: skip
        outputs = edited | (
            {"results.json", "report.md", "report.html", "skipped.txt", ".run", ".memory"} & set(theirs)
        )
        assert (report_refused != 0) == bool(outputs)
        polyglot = Polyglot.open(folder, school.base)
        polyglot.remove_pack("de")
        with contextlib.suppress(GlotclipError):
            polyglot.save(folder)
        assert kept()
        with contextlib.suppress(GlotclipError):
            add_packs(PolyglotFolder(folder), shelf.model)
        assert kept()
        assert set(Polyglot.open(folder, school.base).languages) >= {"en", "de"}


@pytest.mark.parametrize(
    "other", ["in.txt", "./in.txt", "sub/../in.txt", "link.txt", "hard.txt", "linked-folder/in.txt"]
)
def test_the_input_under_any_name_is_no_output(shelf: Shelf, tmp_path: Path, other: str) -> None:
    mine = tmp_path / "in.txt"
    assert called("translate", shelf.root / "in.txt", mine, "--to", "de", "--engine", shelf.engine)[0] == 0
    (tmp_path / "sub").mkdir()
    (tmp_path / "link.txt").symlink_to(mine)
    os.link(mine, tmp_path / "hard.txt")
    (tmp_path / "linked-folder").symlink_to(tmp_path)
    before = content(tmp_path)
    refused(*(answer := called("translate", mine, tmp_path / other, "--to", "fr", "--engine", shelf.engine)))
    assert "is the input" in answer[1]
    assert content(tmp_path) == before
    files = f"files:{mine}:{mine}"  # read by the engine
    refused(*called("translate", shelf.root / "in.txt", tmp_path / other, "--to", "fr", "--engine", files))
    assert content(tmp_path) == before


def test_a_plain_checkpoint_is_not_extended_in_place(shelf: Shelf, tmp_path: Path) -> None:
    shutil.copytree(shelf.base, tmp_path / "base")
    before = content(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "base")
    for out in ("base", "link"):
        code, said = called(
            "extend",
            tmp_path / "base",
            "--lang",
            "de",
            "--data",
            shelf.data / "captions.csv",
            "--out",
            tmp_path / out,
        )
        refused(code, said)
        assert "is the input" in said
    (tmp_path / "link").unlink()
    assert content(tmp_path) == before


@pytest.mark.parametrize("command", ["extend", "finetune"])
def test_what_is_written_beside_the_data_leaves_it_as_it_was(shelf: Shelf, tmp_path: Path, command: str) -> None:
    """As in `cd data; glotclip extend … --data captions.csv --out new`; the data's own folder is no output."""
    data = shutil.copytree(shelf.data, tmp_path / "data")
    before = content(data)
    more = ["--lang", "de", "--set", "vocabulary=150"] if command == "extend" else []
    settings = ["--set", "steps=1", "--set", "batch_size=4", *more]
    called(command, shelf.base, "--data", data / "captions.csv", "--out", data / "new", *settings)
    assert before.items() <= content(data).items()
    assert (data / "new").is_dir()
    assert [each.path for each in list_folder(data).passed_over] == [data / "new"]
    before = content(data)
    refused(*called(command, shelf.base, "--data", data, "--out", data, *settings))
    assert content(data) == before


def test_a_result_may_be_written_again_until_somebody_edits_it(shelf: Shelf, tmp_path: Path) -> None:
    out = tmp_path / "r.json"
    command = ["evaluate", shelf.base, "--benchmark", shelf.data / "captions.csv", "--intervals", "0", "--out", out]
    assert called(*command)[0] == 0
    assert called(*command)[0] == 0
    out.write_text(json.dumps({**json.loads(out.read_text()), "note": "mine"}))
    before = content(tmp_path)
    refused(*called(*command))
    assert content(tmp_path) == before
    out.unlink()
    assert called(*command)[0] == 0


def test_a_link_stays_a_link(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for data in (b"one", b"two"):
        ownership.write_file(tmp_path / "link", data)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "target").read_bytes() == data


@pytest.mark.parametrize("command", ["finetune", "train-base"])
def test_the_place_of_the_training_is_not_taken(shelf: Shelf, tmp_path: Path, command: str) -> None:
    (tmp_path / ".new.training.safetensors").write_bytes(b"mine")
    before = content(tmp_path)
    more = [shelf.base, "--data", shelf.data / "captions.csv"] if command == "finetune" else []
    refused(*(answer := called(command, *more, "--out", tmp_path / "new")))
    assert "no checkpoint of glotclip" in answer[1]
    assert content(tmp_path) == before


@pytest.mark.parametrize(
    ("kind", "command"),
    [("file", name) for name in FOLDER_COMMANDS if name not in ("remove", "add", "extend itself")]
    + [
        ("below a file", name)
        for name in (*FOLDER_COMMANDS, *FILE_COMMANDS)
        if name not in ("remove", "add", "extend itself")
    ]
    + [("folder", name) for name in FILE_COMMANDS],
)
def test_the_other_kind_lies_there(shelf: Shelf, tmp_path: Path, kind: str, command: str) -> None:
    (tmp_path / "file.zip").write_bytes(b"mine")
    (tmp_path / "folder.zip").mkdir()
    before = content(tmp_path)
    out = {"file": tmp_path / "file.zip", "folder": tmp_path / "folder.zip"}.get(
        kind, tmp_path / "file.zip" / "x.zip"
    )
    refused(*called(*{**FOLDER_COMMANDS, **FILE_COMMANDS}[command](shelf, out)))
    assert content(tmp_path) == before


def test_what_a_kill_leaves_of_the_list_is_known(tmp_path: Path) -> None:
    """Between the entry and the file both the old and the new version are glotclip's; a third is not."""
    place = Workplace(tmp_path, "polyglot")
    place.claim()
    place.write_text("a", "old")
    place.write_text("a", "new")
    owned = [place.owns("a") for text in ("old", "new", "other") if (tmp_path / "a").write_text(text)]
    assert owned == [True, True, False]
    with pytest.raises(StorageError, match="changed since"):
        place.write_text("a", "newer")
    assert (tmp_path / "a").read_text() == "other"


def test_a_log_is_only_lengthened(tmp_path: Path) -> None:
    place = Workplace(tmp_path, "polyglot")
    place.append("log", "one")
    place.append("log", "two")
    assert (tmp_path / "log").read_text() == "one\ntwo\n"
    (tmp_path / "log").write_text("mine\n")
    with pytest.raises(StorageError, match="changed since"):
        place.append("log", "three")
    assert (tmp_path / "log").read_text() == "mine\n"


def test_folders_of_another_kind_and_damaged_lists(tmp_path: Path) -> None:
    place = Workplace(tmp_path, "polyglot")
    place.claim()
    Workplace(tmp_path, "comparison").check()  # nothing was made in it yet
    place.write_text("a", "b")
    with pytest.raises(StorageError, match="holds a polyglot and not a comparison"):
        Workplace(tmp_path, "comparison").check()
    for text in ("", "{}", "[]", '{"format": 2, "kind": "polyglot", "files": {}, "logs": {}, "folders": []}'):
        (tmp_path / ".glotclip" / "made.json").write_text(text)
        with pytest.raises(StorageError, match="damaged or of a newer"):
            place.check(("a",))


def test_discarding_spares_what_others_put_there(tmp_path: Path) -> None:
    place = Workplace(tmp_path / "work" / "model", "polyglot")
    place.claim()
    place.write_text("a", "b")
    place.claim_folder("packs/de-1")
    put(tmp_path / "work" / "model", {"packs/de-1/pack.safetensors": b"", "notes.md": b"mine"})
    with pytest.raises(StorageError, match=r"notes.md is in the way"):
        ownership.discard(tmp_path / "work")
    (tmp_path / "work" / "model" / "notes.md").unlink()
    ownership.discard(tmp_path / "work")
    assert list(tmp_path.iterdir()) == []
