"""The bases that glotclip brings: their names, and where what belongs to them lies in the package."""

from __future__ import annotations

from pathlib import Path

ASSETS = Path(__file__).parent.parent / "assets"
PHOTO_BASES = ("photo-clip", "photo-clip-lite2", "photo-e5")  # put together on the user's machine
BUILT_IN = {name: ASSETS / name for name in ("emoji-clip", *PHOTO_BASES)}
