"""Fetching FreeDict's dictionaries: from Debian's packages where apt is, else from FreeDict's own releases.

Neither needs root: a package is downloaded and unpacked, not installed. Each dictionary appears as a folder of its
own, whole or not at all, with ``source.json`` beside its files: where it came from, and the archive's checksum.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
import urllib.request
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from lzma import LZMAError
from pathlib import Path
from typing import IO, Any

from glotclip.data.dictionaries.codes import sides_of_name
from glotclip.data.sources.freedict import SYSTEM, fetched_folder, installed
from glotclip.errors import DataError, LanguageError, nearest
from glotclip.languages import normalise_all, resolve
from glotclip.ownership import check_new
from glotclip.storage import file_sha256, write_json, writing_folder

#: Where FreeDict lists its releases, as its API describes.
RELEASES = "https://freedict.org/freedict-database.json"
_PACKAGE = "dict-freedict-"
_SECONDS = 600
_ENDINGS = (".index", ".dict.dz", ".dict")


@dataclass(frozen=True)
class Fetched:
    """A dictionary that was fetched, or was there.

    Attributes:
        name: such as ``freedict-deu-eng``.
        folder: where it lies.
        source: the package with its version, or the address; empty for one that was there.
        sha256: of the archive.
    """

    name: str
    folder: Path
    source: str = ""
    sha256: str = ""


def get(langs: str | Sequence[str], folder: Path | None = None) -> list[Fetched]:
    """Fetch the dictionaries of English and each language, in both directions as far as they exist.

    What is there already, fetched or installed with Debian's packages, is not fetched again.

    Args:
        langs: codes.
        folder: where to put them; ``None``: glotclip's data folder, where they are found without being named.

    Raises:
        LanguageError: if FreeDict has none of a language.
        DataError: if neither way can be gone; the message says why for both.
        StorageError: if something else lies in a dictionary's place.
    """
    wanted, place = normalise_all(langs), folder or fetched_folder()
    apt = _packages()
    releases: dict[str, Any] | None = None
    done: list[Fetched] = []
    for lang in wanted:
        names = _of(lang, apt)
        from_apt = bool(names)
        if not names:
            here = installed((place, SYSTEM)) if folder is None else installed((place,))
            if (served := resolve(lang, here, near=True)) is not None:
                done += [Fetched(each.name, each.index.parent) for each in here[served]]
                continue
            releases = (
                releases
                if releases is not None
                else _releases(
                    f"Debian's packages have none of {lang}"
                    if apt
                    else "apt, which has such packages, knows none here"
                )
            )
            names = _of(lang, releases)
        if not names:
            raise _no_dictionary(lang, [*apt, *(releases or ())])
        for name in names:
            found = _there(name, place, (place,) if folder else (place, SYSTEM))
            if found is None:
                check_new(place / name, option="--folder")
                found = _by_apt(name, place) if from_apt else _by_address(name, (releases or {})[name], place)
            done.append(found)
    return done


def _packages() -> dict[str, str]:
    """The packages that apt knows, by the dictionary's name; none without apt."""
    if not all(map(shutil.which, ("apt-get", "apt-cache", "dpkg-deb"))):
        return {}
    listed = _run(["apt-cache", "pkgnames", _PACKAGE], None)
    names = listed.stdout.decode().split() if listed.returncode == 0 else []
    return {name.removeprefix("dict-"): name for name in names}


def _of(lang: str, names: Iterable[str]) -> list[str]:
    """The dictionaries of a language and English: into English first."""
    found: dict[str, list[str]] = {}
    for name in sorted(names):
        sides = sides_of_name(name)
        if sides and "en" in sides and sides[0] != sides[1]:
            found.setdefault(sides[0] if sides[1] == "en" else sides[1], []).append(name)
    served = resolve(lang, found, near=True)
    return sorted(found[served], key=lambda name: name.startswith("freedict-eng-")) if served else []


def _no_dictionary(lang: str, names: Iterable[str]) -> LanguageError:
    have = sorted(
        {side for name in names if (sides := sides_of_name(name)) and "en" in sides for side in sides} - {"en"}
    )
    close = nearest(lang, have)
    return LanguageError(
        f"FreeDict has no dictionary of {lang} and English" + (f" (it has {close})" if close else ""),
        hint=f"it has: {', '.join(have)}. Other sources: `glotclip data list`",
    )


def _there(name: str, place: Path, folders: Sequence[Path]) -> Fetched | None:
    for each in (one for found in installed(folders).values() for one in found):
        if each.name == name:
            return Fetched(name, each.index.parent)
    return None


def _by_apt(name: str, place: Path) -> Fetched:
    """Download a package with apt, which checks its signature, and take the dictionary out of it."""
    package = f"dict-{name}"
    with tempfile.TemporaryDirectory(prefix="glotclip-apt-") as aside:
        done = _run(["apt-get", "download", "--quiet", package], Path(aside))
        archives = list(Path(aside).glob("*.deb"))
        if done.returncode != 0 or len(archives) != 1:
            raise DataError(
                f"apt could not fetch {package}: {_reason(done.stderr)}",
                hint=f"check the network; or install {package}, or put {name}.index and {name}.dict.dz into {place}",
            )
        with tempfile.TemporaryFile() as content:
            packed = _run(["dpkg-deb", "--fsys-tarfile", str(archives[0])], None, content)
            if packed.returncode != 0:
                raise DataError(
                    f"{archives[0].name} cannot be unpacked: {_reason(packed.stderr)}", hint="fetch it anew"
                )
            content.seek(0)
            version = archives[0].name.split("_")[1] if "_" in archives[0].name else ""
            made = Fetched(name, place / name, f"{package} {version}".strip(), file_sha256(archives[0]))
            _unpack(content, made)
    return made


def _by_address(name: str, release: dict[str, Any], place: Path) -> Fetched:
    """Download a release, compare its checksum, and take the dictionary out of it."""
    address, expected = str(release.get("URL", "")), str(release.get("checksum", "")).lower()
    with tempfile.TemporaryDirectory(prefix="glotclip-freedict-") as aside:
        archive = Path(aside) / "dictionary.tar"
        with _reaching(address) as answer, archive.open("wb") as out:
            shutil.copyfileobj(answer, out)
        found = hashlib.sha512(archive.read_bytes()).hexdigest()
        if expected and found != expected:
            raise DataError(
                f"{address} is not what FreeDict lists: its checksum is {found[:12]}…, not {expected[:12]}…",
                hint="try again; if it stays so, tell FreeDict",
            )
        made = Fetched(name, place / name, address, file_sha256(archive))
        with archive.open("rb") as content:
            _unpack(content, made)
    return made


def _unpack(content: IO[bytes], made: Fetched) -> None:
    """Take the files of a dictionary and its terms out of an archive, and nothing else."""
    try:
        with writing_folder(made.folder, shared=True) as aside, tarfile.open(fileobj=content) as packed:
            for member in packed:
                file = Path(member.name).name
                if not member.isfile():
                    continue
                if file.endswith(_ENDINGS) and file.startswith(made.name):
                    target = file
                elif file in ("copyright", "COPYING", "LICENSE"):
                    target = f"{made.name}.copyright"
                else:
                    continue
                packed.extract(member.replace(name=target, deep=False), aside, filter="data")
            if not (aside / f"{made.name}.index").is_file():
                raise DataError(f"{made.source} holds no {made.name}.index", hint="it is no dictionary of dictd")
            write_json(aside / "source.json", {"name": made.name, "source": made.source, "sha256": made.sha256})
    except (tarfile.TarError, EOFError, zlib.error, LZMAError) as error:
        raise DataError(f"{made.source} cannot be unpacked: {error}", hint="fetch it anew") from error


def _releases(why_not_apt: str) -> dict[str, Any]:
    """FreeDict's releases for dictd by the dictionary's name."""
    try:
        with _reaching(RELEASES) as answer:
            listed = json.loads(answer.read())
    except DataError as error:
        raise DataError(f"{why_not_apt}, and {error.message}", hint=error.hint) from error
    except ValueError as error:
        raise DataError(f"{RELEASES} is no list of releases ({error})", hint="try again later") from error
    found = {}
    for entry in listed if isinstance(listed, list) else []:
        name = entry.get("name") if isinstance(entry, dict) else None
        for release in entry.get("releases", ()) if name else ():
            if release.get("platform") == "dictd":
                found[f"freedict-{name}"] = release
    return found


def _reaching(address: str) -> Any:
    """Open an address; without a network that is an error which says so."""
    try:
        return urllib.request.urlopen(address, timeout=60)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{address} cannot be reached: {getattr(error, 'reason', error)}",
            hint="check the network; or fetch the dictionary elsewhere and name its file (--data deu-eng.index)",
        ) from error


def _run(command: list[str], folder: Path | None, out: IO[bytes] | None = None) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            command, cwd=folder, stdout=out or subprocess.PIPE, stderr=subprocess.PIPE, timeout=_SECONDS, check=False
        )
    except (subprocess.TimeoutExpired, OSError) as error:
        raise DataError(f"{command[0]} did not answer: {error}", hint="try again later") from error


def _reason(said: bytes) -> str:
    """The first error that a program told."""
    lines = said.decode(errors="replace").strip().splitlines()
    return next(
        (line.removeprefix("E: ") for line in lines if line.startswith("E:")), (lines or ["no reason given"])[-1]
    )
