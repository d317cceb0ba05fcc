"""What a polyglot has installed at one moment, the hooks it serves with, and the lock for changing either."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any

from glotclip.methods.stack import ModuleStack
from glotclip.models.hooks import TextHooks
from glotclip.models.text_tower import TextTower
from glotclip.models.tokenizer import Tokenizer
from glotclip.packs.guess import Guesser, guesser_among
from glotclip.packs.pack import LanguagePack

MERGED_LANGUAGES = 8  # merged weights are kept for so many: for a ViT-B/32's text tower 38 MB a language


class Installed:
    """The packs of one moment and their module stacks. It never changes: who installs or removes puts another in its
    place.

    A call takes it once at its start, so that all of the call sees the same packs however many come and go meanwhile.

    Args:
        packs: by name, in the order of installation.
        own: the base's own languages.
        tokenizer: the base's.
        before: what was installed until now: of packs that stay, stacks and merged weights are taken over.
    """

    def __init__(
        self,
        packs: Mapping[str, LanguagePack],
        own: tuple[str, ...],
        tokenizer: Tokenizer,
        before: Installed | None = None,
    ) -> None:
        self._tokenizer = tokenizer
        self.packs = dict(packs)
        self.by_language = {code: pack for pack in self.packs.values() for code in pack.languages}
        self.stacks: dict[str, ModuleStack] = {
            code: before.stacks[code]
            if before is not None and before.by_language.get(code) is pack
            else pack.state.stack(code)
            for code, pack in self.by_language.items()
        }
        self.languages = (*(code for code in own if code not in self.stacks), *self.stacks)
        self._merged: MergedStacks = MergedStacks() if before is None else before._merged.only(self.stacks)

    @cached_property
    def guesser(self) -> Guesser:
        """Guesses a text's language among those installed; threads may make it twice, alike."""
        taught = {code: profile for pack in self.packs.values() for code, profile in pack.profiles.items()}
        shares = {
            code: partial(pack.glossary.share, code=code)
            for code, pack in self.by_language.items()
            if pack.glossary is not None
        }
        return guesser_among(self.languages, taught, shares, self._tokenizer.encode)

    def hooks(self, lang: str, text: TextTower) -> TextHooks | None:
        """The hooks of a language for serving, on the tower ``text``; None for the base itself."""
        stack = self.stacks.get(lang)
        return None if stack is None else self._merged.of(lang, stack, text)


class MergedStacks:
    """Module stacks with what weights can absorb merged into them, kept for the languages asked for last.

    Any number of threads may ask; a language that several ask for at once is merged once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slots: dict[str, _Slot] = {}

    def of(self, lang: str, stack: ModuleStack, text: TextTower) -> TextHooks:
        """The stack of ``lang``, merged."""
        if not stack.mergeable:
            return stack
        with self._lock:
            slot = self._slots.pop(lang, None)
            if slot is None or slot.stack is not stack:
                slot = _Slot(stack)
            self._slots[lang] = slot  # the last asked for is the last in order
            while len(self._slots) > MERGED_LANGUAGES:
                del self._slots[next(iter(self._slots))]
        return slot.merged(text)  # outside the lock: other languages need not wait

    def only(self, stacks: Mapping[str, ModuleStack]) -> MergedStacks:
        """What is merged of these stacks, to go on with."""
        kept = MergedStacks()
        with self._lock:
            kept._slots = {lang: slot for lang, slot in self._slots.items() if stacks.get(lang) is slot.stack}
        return kept

    def __reduce__(self) -> tuple[Any, ...]:  # a copy merges anew: locks cannot be copied
        return MergedStacks, ()


class _Slot:
    """A stack, and what it has been merged to once somebody asked."""

    def __init__(self, stack: ModuleStack) -> None:
        self.stack = stack
        self._lock = threading.Lock()
        self._hooks: TextHooks | None = None

    def merged(self, text: TextTower) -> TextHooks:
        with self._lock:
            if self._hooks is None:
                self._hooks = self.stack.merged(text)
            return self._hooks


class SharedLock:
    """Readers share it; a writer waits for them, and whoever comes after the writer waits for the writer.

    It is not re-entrant: a thread that holds it in one way must not ask for it again. A copy, pickled or not, is a
    fresh lock that nobody holds, so that objects with such a lock can be copied.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition(threading.Lock())
        self._readers = 0
        self._writing = False
        self._writers_waiting = 0

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Hold it beside other readers."""
        with self._condition:
            # A waiting writer goes first, or a steady stream of readers would keep it out for ever.
            self._condition.wait_for(lambda: not self._writing and not self._writers_waiting)
            self._readers += 1
        try:
            yield
        finally:
            with self._condition:
                self._readers -= 1
                self._condition.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold it with no other reader or writer."""
        with self._condition:
            self._writers_waiting += 1
            try:
                self._condition.wait_for(lambda: not self._writing and not self._readers)
                self._writing = True
            finally:
                self._writers_waiting -= 1
                self._condition.notify_all()  # where the wait was interrupted, readers must not go on waiting for us
        try:
            yield
        finally:
            with self._condition:
                self._writing = False
                self._condition.notify_all()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), ()
