"""A polyglot: one frozen base, and the packs that teach it languages. The language is always an argument.

One polyglot may serve many threads, also while packs are installed and removed: every call takes what is installed at
its start (:class:`~glotclip.packs.installed.Installed`) and keeps to it.

Shapes: M texts, N images, E embedding.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from glotclip.data.video import Mode, Sampling, pool_clips, sample
from glotclip.errors import LanguageError, PackError, TruncationWarning
from glotclip.languages import resolve
from glotclip.models.device import Precision, choose_precision
from glotclip.models.dual_encoder import DualEncoder, normalised
from glotclip.models.hooks import TextHooks
from glotclip.models.windows import Long, check_long, windows
from glotclip.packs.folder import Base, PolyglotFolder
from glotclip.packs.glossary import ENGLISH, fused
from glotclip.packs.guess import AUTO, Guess, shares_of
from glotclip.packs.installed import Installed, SharedLock
from glotclip.packs.manifest import pack_for
from glotclip.packs.pack import LanguagePack, check_base
from glotclip.packs.saving import save_polyglot

ImageLike = str | Path | Image.Image
_VIDEOS = 8
_NAMED = 12  # names that repr shows


class Polyglot:
    """A base with language packs.

    Args:
        base: the frozen dual encoder.
        packs: packs to install, in order.
        source: where the base was loaded from, as a user would write it.
    """

    def __init__(self, base: DualEncoder, packs: Sequence[LanguagePack] = (), *, source: str | None = None) -> None:
        self.base = base
        self.source = source or base.name
        self._installed = Installed({}, base.languages, base.tokenizer)
        self._changing = SharedLock()  # held alone by whoever replaces what is installed
        self._moving = SharedLock()  # shared by whoever computes, held alone by whoever moves the weights
        for pack in packs:
            self.add_pack(pack)

    def __repr__(self) -> str:
        return f"Polyglot(base={self.base.name!r}, languages={_few(self.languages)}, packs={_few(list(self.packs))})"

    @property
    def languages(self) -> list[str]:
        """The languages that can be asked in: the base's own first, then the packs' in order of installation."""
        return list(self._installed.languages)

    @property
    def packs(self) -> Mapping[str, LanguagePack]:
        """The installed packs by name."""
        return dict(self._installed.packs)

    @property
    def embed_dim(self) -> int:
        """Width of the features, E."""
        return self.base.embed_dim

    def to(self, device: torch.device | str) -> Polyglot:
        """Move the base and all packs, in place; it waits for calls that are encoding, and calls wait for it."""
        with self._changing.alone(), self._moving.alone():
            packs = self._installed.packs
            self.base.to(device)
            for pack in packs.values():
                _move(pack, device)
            # Nothing that was merged elsewhere is kept.
            self._installed = Installed(packs, self.base.languages, self.base.tokenizer)
        return self

    def add_pack(self, pack: LanguagePack | Path | str) -> LanguagePack:
        """Install a pack; the base is not reloaded and no other pack changes.

        A pack of the same name replaces the one installed.

        Raises:
            PackError: if the pack cannot be opened or belongs to another base.
            LanguageError: if another pack already provides one of its languages.
        """
        if not isinstance(pack, LanguagePack):
            pack = LanguagePack.load(pack, self.base)
        with self._changing.alone():
            check_base(pack.manifest, self.base)
            packs = self._installed.packs
            for other in packs.values():
                both = set(pack.languages) & set(other.languages)
                if other.name != pack.name and both:
                    raise LanguageError(
                        f"the pack {other.name!r} already provides {', '.join(sorted(both))}",
                        hint=f"remove the pack {other.name!r} first, or keep it and leave {pack.name!r} out",
                    )
            _move(pack, self.base.device)  # which may have changed since the pack was opened
            self._install({**packs, pack.name: pack})
        return pack

    def remove_pack(self, lang: str) -> LanguagePack:
        """Uninstall the pack that provides ``lang``, and return it. The other packs are untouched.

        Args:
            lang: a language, or the name of a pack.

        Raises:
            LanguageError: if no pack provides the language.
        """
        with self._changing.alone():
            packs = self._installed.packs
            name, _ = pack_for(lang, {name: pack.languages for name, pack in packs.items()})
            self._install({other: pack for other, pack in packs.items() if other != name})
        return packs[name]

    @classmethod
    def open(cls, folder: PolyglotFolder | Path | str, base: Base | None = None) -> Polyglot:
        """Open a model folder: its base and all its packs.

        Args:
            folder: what ``glotclip extend`` or :meth:`save` wrote.
            base: the base, a model on it, or where either lies, if it is not where the folder says.

        Raises:
            CheckpointError: if the base cannot be found or read.
            FingerprintError: if it has other weights than the packs were made for.
            PackError: if the folder or a pack is damaged, or of another format.
        """
        folder = folder if isinstance(folder, PolyglotFolder) else PolyglotFolder(folder)
        encoder, source = folder.find_base(base)
        record = folder.read()
        while True:
            try:
                packs = [LanguagePack.load(folder.path / place, encoder) for place in record.packs.values()]
            except (PackError, OSError):
                fresh = folder.read()  # a run may have replaced a pack since: then that is the state to read
                if fresh == record:
                    raise
                record = fresh
            else:
                return cls(encoder, packs, source=source)

    def save(self, folder: Path | str, *, with_base: bool | None = None) -> Path:
        """Write the model with the packs it has now; see :func:`glotclip.packs.saving.save_polyglot`."""
        return save_polyglot(self, folder, with_base=with_base)

    def pack_of(self, lang: str) -> LanguagePack | None:
        """The pack that provides an installed language, or None where the base does."""
        return self._installed.by_language.get(lang)

    def context_length(self, langs: str | Sequence[str]) -> int:
        """The most tokens that a text may have, in each of these languages; in any installed one for "auto"."""
        asked, now = [langs] if isinstance(langs, str) else list(langs), self._installed
        codes = now.languages if AUTO in asked else [resolve(code, now.languages) or code for code in asked]
        packs = [now.by_language.get(code) for code in codes] or [None]
        return min((pack.state.tokenizer if pack else self.base.tokenizer).context_length for pack in packs)

    def hooks_of(self, lang: str) -> TextHooks | None:
        """What an installed language adds to the text tower, as it is served; None where the base reads it."""
        return self._installed.hooks(lang, self.base.text)

    def reads_translations(self, lang: str) -> bool:
        """Whether a language was taught on translations into English, and must be asked in such."""
        pack = self.pack_of(resolve(lang, self.languages) or lang)
        return pack is not None and pack.manifest.settings.get("text") == "to-english"

    @torch.inference_mode()
    def encode_text(
        self,
        texts: str | Sequence[str],
        lang: str | Sequence[str] = "en",
        *,
        precision: str = "fp32",
        long: Long = "cut",
    ) -> torch.Tensor:
        """Encode texts as normalised features (M, E), float32.

        Texts are first brought to the form that their language was learnt in (:mod:`glotclip.textforms`).

        Args:
            texts: M texts; a single string counts as one.
            lang: the language of all of them, or one code a text; "auto" guesses among the installed ones, and where
                the guess is not sure, the feature is the normalised mean of those under the likely languages, each
                weighted by its probability.
            precision: "fp32", "bf16", "fp16" or "auto" for the computation; the result is float32 in any case.
            long: what becomes of texts with more tokens than the context: "cut" drops their ends, with a
                :class:`TruncationWarning`; "mean" reads them in windows and averages the windows' features.

        Raises:
            LanguageError: if a language is unknown or not installed; the error names those that are.
        """
        features, cut = self.encode_counted(texts, lang, precision=precision, long=long)
        if cut:
            limit, hint = self.context_length(lang), "long='mean' (--long mean) reads them whole"
            warnings.warn(TruncationWarning(cut, len(features), limit, hint=hint), stacklevel=3)
        return features

    @torch.inference_mode()
    def encode_counted(
        self, texts: str | Sequence[str], lang: str | Sequence[str], *, precision: str = "fp32", long: Long = "cut"
    ) -> tuple[torch.Tensor, int]:
        """As :meth:`encode_text`, and how many texts were cut instead of a warning."""
        check_long(long)
        texts = [texts] if isinstance(texts, str) else list(texts)
        with self._moving.shared():
            now = self._installed
            features = torch.zeros(len(texts), self.embed_dim, device=self.base.device)
            shares = shares_of(texts, lang, now.languages, now.guesser.guess)
            by_language: dict[str, list[int]] = {}
            for row, weights in enumerate(shares):
                for code in weights:
                    by_language.setdefault(code, []).append(row)
            cut: set[int] = set()
            for code, rows in by_language.items():
                encoded, lost = self._encode(now, [texts[row] for row in rows], code, precision, long)
                weight = torch.tensor([[shares[row][code]] for row in rows], device=features.device)
                features[torch.as_tensor(rows, device=features.device)] += weight * normalised(encoded)
                cut.update(rows[place] for place in lost)
            several = [row for row, weights in enumerate(shares) if len(weights) > 1]
            fused = torch.as_tensor(several, dtype=torch.long, device=features.device)
            features[fused] = normalised(features[fused])
        return features, len(cut)

    def _encode(
        self, now: Installed, texts: Sequence[str], lang: str, precision: str, long: Long
    ) -> tuple[torch.Tensor, list[int]]:
        """Raw features (M, E) with these packs installed, of one of their languages, and which texts were cut."""
        pack = now.by_language.get(lang)
        tokenizer = pack.state.tokenizer if pack else self.base.tokenizer
        form = pack.text_form(lang) if pack else self.base.text_form
        encode = partial(
            self.base.encode_tokens,
            hooks=now.hooks(lang, self.base.text),
            precision=choose_precision(precision, self.base.device),
        )
        texts = [form(text, lang) if isinstance(text, str) else text for text in texts]
        tokens = tokenizer.encode(texts)
        features = encode(tokens)
        if pack is not None and pack.glossary is not None:
            features = self._looked_up(now, pack.glossary.readings(texts, lang), features, precision)
        if long == "cut" or not tokens.truncated:
            return features, list(tokens.truncated)
        pieces = {row: windows(tokenizer, texts[row]) for row in tokens.truncated}
        each = normalised(encode(tokenizer.encode([piece for some in pieces.values() for piece in some])))
        sizes = [len(some) for some in pieces.values()]
        features[list(pieces)] = torch.stack([some.mean(dim=0) for some in torch.split(each, sizes)])
        return features, []

    def _looked_up(
        self, now: Installed, readings: Sequence[Sequence[str]], features: torch.Tensor, precision: str
    ) -> torch.Tensor:
        """Features (M, E) of texts that may have readings in English, together with those of the readings."""
        if not any(readings):
            return features

        def english(texts: list[str]) -> npt.NDArray[np.float32]:
            code = resolve(ENGLISH, now.languages) or now.languages[0]
            found: npt.NDArray[np.float32] = (
                normalised(self._encode(now, texts, code, precision, "cut")[0]).cpu().numpy()
            )
            return found

        return torch.from_numpy(fused(features.cpu().numpy(), readings, english)).to(features)

    @torch.inference_mode()
    def encode_image(self, images: ImageLike | Sequence[ImageLike], *, batch_size: int = 64) -> torch.Tensor:
        """Encode images (paths or Pillow images) as normalised features (N, E), float32.

        Raises:
            ImageError: if an image cannot be read. To skip and count those, use a feature cache.
        """
        listed = [images] if isinstance(images, str | Path | Image.Image) else list(images)
        with self._moving.shared():
            features = [torch.zeros(0, self.embed_dim, device=self.base.device)]
            for start in range(0, len(listed), batch_size):
                pixels = np.stack([self.base.preprocess.load(each) for each in listed[start : start + batch_size]])
                features.append(normalised(self.base.encode_pixels(torch.from_numpy(pixels))))
            return torch.cat(features)

    @torch.inference_mode()
    def encode_video(
        self,
        videos: str | Path | Sequence[str | Path],
        *,
        frames: int = 12,
        mode: Mode = "uniform",
        fps: float = 1.0,
        batch_size: int = 64,
    ) -> torch.Tensor:
        """Encode videos as normalised features (N, E), float32: the normalised mean of normalised frame features.

        Args:
            videos: N paths; a single one counts as one. Animated images are videos too.
            frames: how many frames of a video are encoded at most.
            mode: "uniform": at the mid-points of equal segments; "fps": ``fps`` a second, thinned to ``frames``.
            fps: frames a second in mode "fps".
            batch_size: how many frames go through the image tower at once.

        Raises:
            ConfigError: for an impossible sampling.
            VideoError: if a video cannot be read. To skip and count those, use a feature cache.
            MissingExtraError: if PyAV is not installed.
        """
        paths = [videos] if isinstance(videos, str | Path) else list(videos)
        picks = Sampling(frames, mode, fps)
        load = self.base.preprocess.load
        with self._moving.shared():
            features = [torch.zeros(0, self.embed_dim, device=self.base.device)]
            for start in range(0, len(paths), _VIDEOS):  # memory holds the frames of so many
                clips = [sample(path, picks, load).frames for path in paths[start : start + _VIDEOS]]
                pooled = pool_clips(clips, self._image_features, batch=batch_size)
                features.append(torch.from_numpy(pooled).to(self.base.device))
            return torch.cat(features)

    @staticmethod
    def similarity(texts: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Cosine similarities (M, N) of features (M, E) and (N, E), normalised or not."""
        return normalised(texts) @ normalised(images).T

    def detect(self, texts: Sequence[str]) -> list[str]:
        """Guess each text's language among the installed ones; :meth:`guess` also says how sure that is."""
        return [guess.lang for guess in self.guess(texts)]

    def guess(self, texts: Sequence[str]) -> list[Guess]:
        """Guess each text's language among the installed ones, with the probability of each.

        The script decides first, then the texts that the packs were taught on; see :mod:`glotclip.packs.guess`.
        """
        return self._installed.guesser.guess(texts)

    @property
    def features_key(self) -> str:
        """What features of images are cached under: the base's fingerprint."""
        return self.base.fingerprint

    def preprocess(self, image: ImageLike) -> npt.NDArray[np.float32]:
        """Read one image as the image tower wants it, float32 (3, H, W)."""
        return self.base.preprocess.load(image)

    def encode_texts(
        self, texts: Sequence[str], langs: str | Sequence[str], *, long: Long = "cut"
    ) -> npt.NDArray[np.float32]:
        """:meth:`encode_text` as an array on the processor."""
        return self.encode_text(texts, langs, long=long).cpu().numpy()

    def image_features(
        self, pixels: npt.NDArray[np.float32], precision: Precision = "fp32"
    ) -> npt.NDArray[np.float32]:
        """Raw features (N, E) of preprocessed pixels (N, 3, H, W): in full precision what a feature cache stores."""
        with self._moving.shared():
            return self._image_features(pixels, precision)

    def _image_features(
        self, pixels: npt.NDArray[np.float32], precision: Precision = "fp32"
    ) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            return self.base.encode_pixels(torch.from_numpy(pixels), precision).cpu().numpy()

    def _install(self, packs: Mapping[str, LanguagePack]) -> None:
        self._installed = Installed(packs, self.base.languages, self.base.tokenizer, self._installed)


def _move(pack: LanguagePack, device: torch.device | str) -> None:
    for modules in pack.state.modules.values():
        for module in modules:
            module.to(device)


def _few(names: Sequence[str]) -> str:
    """A list for people: of many names the first, and how many there are."""
    shown = ", ".join(names[:_NAMED])
    return f"[{shown}]" if len(names) <= _NAMED else f"[{shown}, … {len(names)} in all]"
