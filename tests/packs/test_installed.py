"""One polyglot in many threads: a thousand switches of packs under eight threads that encode, and what is merged."""

from __future__ import annotations

import copy
import pickle
import random
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from PIL import Image

from glotclip.errors import LanguageError
from glotclip.methods.coda_prompt import CodaPrompt
from glotclip.methods.dual_prompt import DualPrompt
from glotclip.methods.lora import Lora
from glotclip.methods.module import TextModule
from glotclip.methods.stack import ModuleStack, PackState
from glotclip.models.tokens import Tokens
from glotclip.packs.installed import MERGED_LANGUAGES, Installed, SharedLock
from glotclip.packs.pack import LanguagePack, write_pack
from glotclip.packs.polyglot import Polyglot

if TYPE_CHECKING:
    from tests.conftest import MakeBase

    from glotclip.models.dual_encoder import DualEncoder

MERGING = ("de", "fr", "es", "it", "nl", "pl", "pt", "ru", "sv", "tr", "hi")  # eleven, more than are kept merged
CONDITIONED = ("cs", "fi")  # their prompts depend on the text, in a second pass
ENCODERS, SWITCHES = 8, 1000


@pytest.fixture(autouse=True)
def _one_thread_each() -> Iterator[None]:
    """Threads switch as often as they can, and each computes alone."""
    interval, threads = sys.getswitchinterval(), torch.get_num_threads()
    sys.setswitchinterval(1e-5)
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    sys.setswitchinterval(interval)


def part_of(base: DualEncoder, code: str, seed: int) -> TextModule:
    text, generator = base.text.config, torch.Generator().manual_seed(seed)
    part: TextModule
    if code == "cs":
        part = CodaPrompt(text, CodaPrompt.Config(blocks=(0, 1), components=3, length=2))
        part.add_task(generator)
    elif code == "fi":
        part = DualPrompt(text, DualPrompt.Config(general_blocks=(0,), general=2, expert_blocks=(1,), expert=2))
        part.add_task(generator)
    else:
        part = Lora(text, Lora.Config(targets=("q", "v", "up", "down"), rank=3, alpha=6.0))
    with torch.no_grad():
        for parameter in part.parameters():
            parameter.normal_(generator=generator)
    return part.requires_grad_(False)


@pytest.fixture(scope="module")
def packs(base: DualEncoder, tmp_path_factory: pytest.TempPathFactory) -> dict[str, LanguagePack]:
    root = tmp_path_factory.mktemp("packs")
    for seed, code in enumerate((*MERGING, *CONDITIONED)):
        state = PackState((code,), base.tokenizer, {code: (part_of(base, code, seed),)})
        write_pack(
            root / code, state, name=code, method="lora", learnt=[code], base=base, settings={}, data={}, scores={}
        )
    return {code: LanguagePack.load(root / code, base) for code in (*MERGING, *CONDITIONED)}


@dataclass(frozen=True)
class Call:
    """One way to ask."""

    texts: tuple[str, ...]
    langs: tuple[str, ...]
    precision: str

    def __call__(self, polyglot: Polyglot) -> torch.Tensor:
        lang = list(self.langs) if len(self.langs) > 1 else self.langs[0]
        return polyglot.encode_text(self.texts, lang=lang, precision=self.precision)


def calls() -> list[Call]:
    rng, every = random.Random(0), ("en", *MERGING, *CONDITIONED)
    texts = ("rot", "a red circle", "ein grüner Balken", "लाल वृत्त", "cercle")
    single = [Call(texts[:3], (code,), precision) for code in every for precision in ("fp32", "bf16", "fp16")]
    mixed = [Call(texts, tuple(rng.choices(every, k=len(texts))), "fp32") for _ in range(8)]
    return single + mixed


@pytest.mark.slow
def test_a_thousand_switches_under_eight_threads(base: DualEncoder, packs: dict[str, LanguagePack]) -> None:
    """Every answer is the single-threaded one bit for bit, or an error that names a language that comes and goes."""
    polyglot, asked = Polyglot(base, list(packs.values())), calls()
    expected = [call(polyglot) for call in asked]
    image = Image.new("RGB", (30, 20), "red")
    of_image, alone = polyglot.encode_image(image), polyglot.encode_text(["rot"], "tr")
    steady = {"en", *MERGING[:4]}
    answers, refusals, over = [0] * ENCODERS, [0] * ENCODERS, threading.Event()

    def encode(number: int) -> None:
        rng = random.Random(number)
        while not over.is_set() or not answers[number]:
            place = rng.randrange(len(asked))
            try:
                got = asked[place](polyglot)
            except LanguageError as error:
                missing = set(asked[place].langs) - steady
                assert any(f"{code!r} is not installed" in error.message for code in missing), error
                refusals[number] += 1
            else:
                assert torch.equal(got, expected[place]), asked[place]
                answers[number] += 1
            try:
                assert torch.equal(polyglot.encode_text(["rot"], "tr"), alone)
            except LanguageError as error:
                assert "'tr' is not installed" in error.message
            assert torch.equal(polyglot.encode_image(image), of_image)
            assert steady <= set(polyglot.languages) and len(polyglot.packs) >= 4
            assert polyglot.base.fingerprint

    rng, absent = random.Random(99), set[str]()
    with ThreadPoolExecutor(ENCODERS) as pool:
        running = [pool.submit(encode, number) for number in range(ENCODERS)]
        try:
            for _ in range(SWITCHES):
                code = rng.choice(sorted(packs.keys() - steady))
                if code in absent:
                    polyglot.add_pack(packs[code])
                    absent.discard(code)
                else:
                    assert polyglot.remove_pack(code) is packs[code]
                    absent.add(code)
                if any(job.done() for job in running):
                    break
        finally:
            over.set()
        for job in running:
            job.result(60)
    assert all(answers) and any(refusals), "the threads did not run beside the switches"
    for code in absent:
        polyglot.add_pack(packs[code])
    for call, features in zip(asked, expected, strict=True):
        assert torch.equal(call(polyglot), features)


def test_a_language_is_merged_once_however_many_ask(
    base: DualEncoder, packs: dict[str, LanguagePack], monkeypatch: pytest.MonkeyPatch
) -> None:
    merging, begun = ModuleStack.merged, list[ModuleStack]()

    def counted(route: ModuleStack, text: object) -> object:
        begun.append(route)
        return merging(route, base.text)

    monkeypatch.setattr(ModuleStack, "merged", counted)
    polyglot, start = Polyglot(base, list(packs.values())), threading.Barrier(ENCODERS)

    def ask(_: int) -> torch.Tensor:
        start.wait(10)
        return polyglot.encode_text("rot", lang="de")

    with ThreadPoolExecutor(ENCODERS) as pool:
        answers = list(pool.map(ask, range(ENCODERS)))
    assert len(begun) == 1
    assert all(torch.equal(answer, answers[0]) for answer in answers)
    polyglot.remove_pack("fr")
    polyglot.add_pack(packs["fr"])
    polyglot.encode_text("rot", lang=["de"])
    assert len(begun) == 1, "another language's pack came and went"
    polyglot.remove_pack("de")
    polyglot.add_pack(packs["de"])
    polyglot.encode_text("rot", lang="de")
    assert len(begun) == 2, "merged weights of a pack that was removed are not kept"


def test_the_languages_asked_for_last_are_kept_and_only_merged_ones_count(
    base: DualEncoder, packs: dict[str, LanguagePack]
) -> None:
    now = Installed(packs, base.languages, base.tokenizer)
    kept = {code: now.hooks(code, base.text) for code in MERGING[:MERGED_LANGUAGES]}
    for code in (*CONDITIONED, "en"):  # nothing of theirs is merged, so they put nothing out
        now.hooks(code, base.text)
    assert now.hooks("de", base.text) is kept["de"]
    assert now.hooks(MERGING[MERGED_LANGUAGES], base.text) is not None
    assert now.hooks("de", base.text) is kept["de"]
    assert now.hooks("fr", base.text) is not kept["fr"], "the one that was not asked for the longest time goes"


def test_moving_waits_for_calls_and_calls_wait_for_it(
    base: DualEncoder, packs: dict[str, LanguagePack], monkeypatch: pytest.MonkeyPatch
) -> None:
    polyglot, order = Polyglot(base, [packs["de"]]), list[str]()
    encoding, go_on = threading.Event(), threading.Event()
    slow = type(base.tokenizer)

    def encode(texts: list[str]) -> Tokens:
        if texts == ["slow"]:
            encoding.set()
            assert go_on.wait(10)
            order.append("encoded")  # while the call still computes
        return slow.encode(base.tokenizer, texts)

    monkeypatch.setattr(base.tokenizer, "encode", encode)

    def move() -> None:
        polyglot.to("cpu")
        order.append("moved")

    first, mover = threading.Thread(target=polyglot.encode_text, args=["slow"]), threading.Thread(target=move)
    first.start()
    assert encoding.wait(10)
    mover.start()
    mover.join(0.05)
    assert order == []
    go_on.set()
    first.join(10)
    mover.join(10)
    assert set(order) == {"encoded", "moved"}  # who writes first after the lock is free is the system's choice
    assert polyglot.encode_text("rot", lang="de").shape == (1, 16)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a second device")
def test_moving_between_devices_under_threads(make_base: MakeBase, tmp_path: Path) -> None:
    base = make_base(7)
    for seed, code in enumerate(("de", "fi")):
        state = PackState((code,), base.tokenizer, {code: (part_of(base, code, seed),)})
        write_pack(
            tmp_path / code, state, name=code, method="x", learnt=[code], base=base, settings={}, data={}, scores={}
        )
    polyglot, over = Polyglot(base, [LanguagePack.load(tmp_path / code, base) for code in ("de", "fi")]), False
    texts, langs = ["rot", "a bar", "viiva"], ["de", "en", "fi"]
    expected = polyglot.encode_text(texts, langs)

    def encode(_: int) -> None:
        while not over:
            torch.testing.assert_close(polyglot.encode_text(texts, langs).cpu(), expected, atol=1e-4, rtol=0)

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(encode, number) for number in range(4)]
        try:
            for round_ in range(40):
                polyglot.to("cpu" if round_ % 2 else "cuda")
        finally:
            over = True
        for job in running:
            job.result(60)


def test_a_copy_answers_alike(base: DualEncoder, packs: dict[str, LanguagePack]) -> None:
    polyglot = Polyglot(base, [packs["de"], packs["cs"]])
    answer = polyglot.encode_text(["rot", "rot", "red"], lang=["de", "cs", "en"])
    again = copy.deepcopy(polyglot)
    assert again.languages == ["en", "de", "cs"]
    assert torch.equal(again.encode_text(["rot", "rot", "red"], lang=["de", "cs", "en"]), answer)


def test_readers_share_and_a_writer_is_alone() -> None:
    lock, inside, most = SharedLock(), {"readers": 0, "writers": 0}, {"readers": 0}
    guard, together = threading.Lock(), threading.Barrier(3)

    def enter(kind: str, change: int) -> None:
        with guard:
            inside[kind] += change
            most["readers"] = max(most["readers"], inside["readers"])
            assert inside["writers"] <= 1 and not (inside["writers"] and inside["readers"])

    def read(number: int) -> None:
        with lock.shared():
            enter("readers", 1)
            if number < 3:
                together.wait(10)  # three are inside at once, or this breaks
            enter("readers", -1)

    def write(_: int) -> None:
        with lock.alone():
            enter("writers", 1)
            enter("writers", -1)

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(read, number) for number in range(3)]:
            done.result(10)
        jobs = [pool.submit(write if number % 3 == 0 else read, number + 3) for number in range(600)]
        for done in jobs:
            done.result(10)
    assert most["readers"] >= 3


def test_a_waiting_writer_goes_before_later_readers() -> None:
    lock, order = SharedLock(), list[str]()

    def write() -> None:
        with lock.alone():
            order.append("writer")

    def read() -> None:
        with lock.shared():
            order.append("reader")

    with lock.shared():
        writer = threading.Thread(target=write)
        writer.start()
        while True:  # a reader that comes before the writer waits goes in at once
            order.clear()
            reader = threading.Thread(target=read)
            reader.start()
            reader.join(0.1)
            if reader.is_alive():
                break
        assert order == []
    writer.join(10)
    reader.join(10)
    assert order == ["writer", "reader"]


def test_an_error_inside_gives_the_lock_back() -> None:
    lock = SharedLock()
    for hold in (lock.shared, lock.alone):
        with pytest.raises(ZeroDivisionError), hold():
            raise ZeroDivisionError
    with lock.alone():
        copies = [copy.deepcopy(lock), pickle.loads(pickle.dumps(lock))]
    for fresh in copies:
        with fresh.alone():
            pass
