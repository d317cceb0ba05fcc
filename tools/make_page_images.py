"""Takes docs/images/page*.png: the page of `glotclip serve` in Arabic, Japanese and German; wide, dark, on a phone.

python tools/make_page_images.py [OUT]     two minutes on two cores; needs a Chromium

An emoji-clip that was taught the languages searches OpenMoji's pictures (CC BY-SA 4.0), drawn large enough.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import resvg_py
import uvicorn
from PIL import Image
from playwright.sync_api import sync_playwright

import glotclip
from glotclip.data import emoji
from glotclip.data.emoji_images import sources
from glotclip.server.app import create_app, use_encoders
from glotclip.server.settings import ServerSettings

OUT = Path(__file__).parents[1] / "docs" / "images"
LANGUAGES = ("ar", "ja", "de")
PORT, WIDTH = 8543, 360
SHOTS: dict[str, tuple[str, dict[str, Any]]] = {
    "page.png": ("قطة", {"viewport": {"width": 1180, "height": 640}}),
    "page-dark.png": ("自転車", {"viewport": {"width": 1180, "height": 640}, "color_scheme": "dark"}),
    "page-phone.png": ("Regenschirm", {"viewport": {"width": 390, "height": 760}}),
}


def main(out: Path) -> None:
    """Teach, index, serve, and take the pictures."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "openmoji").mkdir()
        for concept, path in sources("openmoji", emoji.concepts()).items():
            drawn = resvg_py.svg_to_bytes(svg_path=str(path), width=WIDTH, height=WIDTH, skip_system_fonts=True)
            (folder / "openmoji" / f"{concept}.png").write_bytes(bytes(drawn))
        glotclip.extend("emoji-clip", LANGUAGES, out=folder / "model", benchmark=False)
        glotclip.index(folder / "openmoji", folder / "library", model=folder / "model")
        with glotclip.open_library(folder / "library") as library:
            use_encoders(library)
            app = create_app(library, ServerSettings())
            server = uvicorn.Server(uvicorn.Config(app, port=PORT, log_level="warning"))
            thread = threading.Thread(target=server.run)
            thread.start()
            while not server.started:
                thread.join(0.05)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                for file, (query, context) in SHOTS.items():
                    page = browser.new_context(**context).new_page()
                    page.goto(f"http://127.0.0.1:{PORT}/?q={query}&min_probability=0")
                    page.wait_for_selector(".hit")
                    page.wait_for_load_state("networkidle")
                    page.screenshot(path=out / file)
                    Image.open(out / file).convert("RGB").quantize(128).save(out / file, optimize=True)
                browser.close()
            server.should_exit = True
            thread.join()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else OUT)
