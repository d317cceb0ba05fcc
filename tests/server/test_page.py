"""The page in a real browser: five scripts, the phone, the dark, the keyboard, and what axe-core says of it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from glotclip.library.library import Library
from glotclip.server.app import create_app
from glotclip.server.settings import ServerSettings

pytestmark = pytest.mark.slow
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PACKAGES = ("chromium", "fonts-noto-core", "fonts-noto-cjk", "fonts-noto-color-emoji")
QUERIES = {"de": "ein roter Hund", "ar": "كلب أحمر", "ja": "赤い犬", "hi": "लाल कुत्ता", "ru": "красная собака"}


def browser_path() -> str | None:
    """A Chromium of this machine; Debian's is installed where that is possible."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None and shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "-qq"], check=False, capture_output=True)
        subprocess.run(["apt-get", "install", "-y", "-qq", *PACKAGES], check=False, capture_output=True)
        found = next(filter(None, map(shutil.which, BROWSERS)), None)
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api")
    path = browser_path()
    if path is None:
        pytest.skip("no Chromium here, and none can be installed: apt-get install chromium")
    with api.sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def address(library: Library) -> Iterator[str]:
    """The address of a server in a thread."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        app = create_app(library, ServerSettings())
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        found = f"http://127.0.0.1:{sock.getsockname()[1]}"
        while not server.started:
            thread.join(0.02)
        assert httpx.get(f"{found}/health").status_code == 200
        yield found
        server.should_exit = True
        thread.join(20)


def opened(browser: Any, address: str, **context: Any) -> tuple[Any, list[str]]:
    """A page of a new visitor, and what went wrong on it; requests to anywhere else are among that."""
    wrong: list[str] = []
    page = browser.new_context(**{"viewport": {"width": 1200, "height": 800}, **context}).new_page()
    page.set_default_timeout(15_000)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)

    def seen(request: Any) -> None:
        if not request.url.startswith((address, "blob:", "data:")):
            wrong.append(request.url)

    page.on("request", seen)
    page.goto(address)
    until(page, "document.getElementById('said').textContent.includes('pictures')")
    return page, wrong


def until(page: Any, condition: str) -> None:
    """Wait until a condition holds; asked from outside, since the page's policy forbids it to evaluate texts."""
    for _ in range(300):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never: {condition}")


def search(page: Any, text: str) -> None:
    page.check("input[name=everything]", force=True) if page.is_visible("#filters") else None
    page.fill("#query", text)
    page.press("#query", "Enter")
    page.wait_for_selector(".hit img")


@pytest.mark.parametrize("lang", QUERIES)
def test_queries_in_five_scripts(browser: Any, address: str, lang: str) -> None:
    page, wrong = opened(browser, address)
    page.click("#filters-toggle")
    search(page, QUERIES[lang])
    assert page.locator(".hit").count() == 40
    direction = page.evaluate("getComputedStyle(document.getElementById('query')).direction")
    assert direction == ("rtl" if lang == "ar" else "ltr")
    until(page, "[...document.querySelectorAll('.hit img')].slice(0, 8).every((i) => i.naturalWidth > 0)")
    assert not wrong
    page.reload()  # what was asked is in the address
    page.wait_for_selector(".hit")
    assert page.input_value("#query") == QUERIES[lang] and page.locator(".hit").count() == 40


def test_by_keyboard_alone(browser: Any, address: str) -> None:
    page, wrong = opened(browser, address)
    page.goto(f"{address}/?q=dog&min_probability=0")
    page.wait_for_selector(".hit")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "query"
    page.locator(".hit").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    columns = page.evaluate("getComputedStyle(document.getElementById('grid')).gridTemplateColumns.split(' ').length")
    place = "[...document.querySelectorAll('.hit')].indexOf(document.activeElement)"
    assert page.evaluate(place) == 1 + columns
    page.keyboard.press("Enter")
    page.wait_for_selector("#viewer[open] #stage img")
    first = page.inner_text("#name")
    page.keyboard.press("ArrowRight")
    until(page, f"document.getElementById('name').textContent !== {json.dumps(first)}")
    page.keyboard.press("Escape")
    until(page, f"{place} === {2 + columns}")  # focus is where one was
    assert not wrong


def test_similar_less_like_and_back(browser: Any, address: str) -> None:
    page, wrong = opened(browser, address)
    page.goto(f"{address}/?q=dog&min_probability=0")
    page.wait_for_selector(".hit")
    page.locator(".hit").first.click()
    page.click("#unlike")
    page.wait_for_selector(".chip")
    page.locator(".hit").first.click()
    page.click("#similar")
    until(page, "document.querySelector('.chip')?.textContent.startsWith('like')")
    assert page.input_value("#query") == ""
    page.go_back()
    until(page, "document.getElementById('query').value === 'dog'")
    assert not wrong


def test_going_back_before_the_answer(browser: Any, address: str) -> None:
    """What is asked can be gone back to while the server still works on it."""
    page, wrong = opened(browser, address)
    page.goto(f"{address}/?q=dog&min_probability=0")
    page.wait_for_selector(".hit")
    page.route("**/api/search", lambda route: None)  # never answered
    page.fill("#query", "cat")
    page.press("#query", "Enter")
    until(page, "location.search.includes('cat')")
    page.unroute("**/api/search")
    page.go_back()
    until(page, "document.getElementById('query').value === 'dog' && document.querySelector('.hit') !== null")
    assert not wrong


def test_selecting_exporting_and_hiding(browser: Any, address: str, photos: Path) -> None:
    page, wrong = opened(browser, address)
    page.goto(f"{address}/?q=dog&min_probability=0")
    page.wait_for_selector(".hit")
    page.click("#select-toggle")
    page.locator(".hit").nth(0).click()
    page.locator(".tick").nth(3).check()
    assert page.inner_text("#count") == "2 selected"
    with page.expect_download() as download:
        page.click("[data-form=paths]")
    listed = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert len(listed) == 2 and all(Path(path).is_relative_to(photos) for path in listed)
    page.click("#hide")
    until(page, "document.querySelectorAll('.hit').length === 38")
    page.click("text=Undo hiding")
    until(page, "document.querySelectorAll('.hit').length === 40")
    assert not wrong


def test_a_picture_as_query(browser: Any, address: str, photos: Path) -> None:
    page, wrong = opened(browser, address)
    page.set_input_files("#picture", photos / "07.png")
    page.wait_for_selector(".chip")
    until(page, "document.getElementById('said').textContent.match(/match/)")
    assert not wrong


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_it_fits_and_axe_finds_nothing_serious(
    browser: Any, address: str, scheme: str, width: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    page, wrong = opened(browser, address, color_scheme=scheme, viewport={"width": width, "height": 740})
    page.goto(f"{address}/?q=%D9%83%D9%84%D8%A8&min_probability=0")
    page.wait_for_selector(".hit")
    page.click("#filters-toggle")
    page.click("#select-toggle")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert not wrong
    axe = axe_core(tmp_path_factory)
    for viewer in (False, True):
        if viewer:
            page.click("#select-toggle")
            page.locator(".hit").first.click()
            page.wait_for_selector("#viewer[open] dd")
        page.evaluate(axe)
        found = page.evaluate("axe.run()")
        serious = [each for each in found["violations"] if each["impact"] in ("serious", "critical")]
        assert not [(each["id"], [node["html"][:120] for node in each["nodes"][:3]]) for each in serious]


def axe_core(tmp: pytest.TempPathFactory) -> str:
    """The text of axe-core from npm."""
    if shutil.which("npm") is None:
        pytest.skip("axe-core comes with npm, which is not here")
    folder = tmp.getbasetemp() / "axe-core"
    if not folder.exists():
        folder.mkdir()
        done = subprocess.run(["npm", "pack", "axe-core@4"], cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"axe-core cannot be fetched: {done.stderr[-200:]}")
    with tarfile.open(next(folder.glob("axe-core-*.tgz"))) as packed:
        member = packed.extractfile("package/axe.min.js")
        assert member is not None
        return member.read().decode()
