"""What a polyglot has installed at one moment, and the pathways it serves from."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from glotclip.methods.stack import ModuleStack
from glotclip.models.pathway import TextHooks
from glotclip.models.text_tower import TextTower
from glotclip.packs.guess import Guesser
from glotclip.packs.language_profile import built_in
from glotclip.packs.pack import LanguagePack

MERGED_LANGUAGES = 8  # merged weights are kept for so many: for a ViT-B/32's text tower 38 MB a language


class Installed:
    """The packs of one moment and their routes. It never changes: who installs or removes puts another in its place.

    A call takes it once at its start, so that all of the call sees the same packs however many come and go meanwhile.

    Args:
        packs: by name, in the order of installation.
        own: the base's own languages.
        before: what was installed until now: of packs that stay, routes and merged weights are taken over.
    """

    def __init__(
        self, packs: Mapping[str, LanguagePack], own: tuple[str, ...], before: Installed | None = None
    ) -> None:
        self.packs = dict(packs)
        self.by_language = {code: pack for pack in self.packs.values() for code in pack.languages}
        self.routes: dict[str, ModuleStack] = {
            code: before.routes[code]
            if before is not None and before.by_language.get(code) is pack
            else pack.state.stack(code)
            for code, pack in self.by_language.items()
        }
        self.languages = (*(code for code in own if code not in self.routes), *self.routes)
        self._merged: MergedRoutes = MergedRoutes() if before is None else before._merged.only(self.routes)

    @cached_property
    def guesser(self) -> Guesser:
        """Guesses a text's language among those installed; threads may make it twice, alike."""
        taught = {code: profile for pack in self.packs.values() for code, profile in pack.profiles.items()}
        return Guesser({code: taught[code] if code in taught else built_in(code) for code in self.languages})

    def pathway(self, lang: str, text: TextTower) -> TextHooks | None:
        """The way of a language for serving, on the tower ``text``; None is the base's own."""
        route = self.routes.get(lang)
        return None if route is None else self._merged.of(lang, route, text)


class MergedRoutes:
    """Routes with what weights can absorb merged into them, kept for the languages asked for last.

    Any number of threads may ask; a language that several ask for at once is merged once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slots: dict[str, _Slot] = {}

    def of(self, lang: str, route: ModuleStack, text: TextTower) -> TextHooks:
        """The route of ``lang``, merged."""
        if not route.merges:
            return route
        with self._lock:
            slot = self._slots.pop(lang, None)
            if slot is None or slot.route is not route:
                slot = _Slot(route)
            self._slots[lang] = slot  # the last asked for is the last in order
            while len(self._slots) > MERGED_LANGUAGES:
                del self._slots[next(iter(self._slots))]
        return slot.merged(text)  # outside the lock: other languages need not wait

    def only(self, routes: Mapping[str, ModuleStack]) -> MergedRoutes:
        """What is merged of these routes, to go on with."""
        kept = MergedRoutes()
        with self._lock:
            kept._slots = {lang: slot for lang, slot in self._slots.items() if routes.get(lang) is slot.route}
        return kept

    def __reduce__(self) -> tuple[Any, ...]:  # a copy merges anew: locks cannot be copied
        return MergedRoutes, ()


class _Slot:
    """A route, and what it has been merged to once somebody asked."""

    def __init__(self, route: ModuleStack) -> None:
        self.route = route
        self._lock = threading.Lock()
        self._pathway: TextHooks | None = None

    def merged(self, text: TextTower) -> TextHooks:
        with self._lock:
            if self._pathway is None:
                self._pathway = self.route.merged(text)
            return self._pathway
