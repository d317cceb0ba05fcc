"""A polyglot: one frozen base, and the packs that teach it languages. The language is always an argument.

One polyglot may serve many threads, also while packs are installed and removed: every call takes what is installed at
its start (:class:`~glotclip.packs.installed.Installed`) and keeps to it.

Shapes: M texts, N images, E embedding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch.nn import functional as F

from glotclip.data.video import Mode, Sampling, pool_clips, sample
from glotclip.errors import ConfigError, LanguageError
from glotclip.languages import check_installed, detect, normalise
from glotclip.models.device import choose_precision
from glotclip.models.dual_encoder import DualEncoder
from glotclip.packs.installed import Installed
from glotclip.packs.pack import LanguagePack, check_base
from glotclip.packs.sharing import SharedLock

Picture = str | Path | Image.Image
AUTO = "auto"
_VIDEOS = 8


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
        self._installed = Installed({}, base.languages)
        self._changing = SharedLock()  # held alone by whoever replaces what is installed
        self._moving = SharedLock()  # shared by whoever computes, held alone by whoever moves the weights
        for pack in packs:
            self.add_pack(pack)

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
            self._installed = Installed(packs, self.base.languages)  # nothing that was merged elsewhere is kept
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
            code = lang if lang in packs else normalise(lang)
            pack = packs.get(code) or self.pack_of(code)
            if pack is None:
                installed = ", ".join(packs) or "none"
                raise LanguageError(f"no pack provides {code!r}", hint=f"installed packs: {installed}")
            self._install({name: other for name, other in packs.items() if other is not pack})
        return pack

    def pack_of(self, lang: str) -> LanguagePack | None:
        """The pack that provides a language, or None where the base does."""
        return self._installed.by_language.get(lang)

    def reads_translations(self, lang: str) -> bool:
        """Whether a language was taught on translations into English, and must be asked in such."""
        pack = self.pack_of(lang)
        return pack is not None and pack.manifest.settings.get("text") == "to-english"

    @torch.inference_mode()
    def encode_text(
        self, texts: str | Sequence[str], lang: str | Sequence[str] = "en", *, precision: str = "fp32"
    ) -> torch.Tensor:
        """Encode texts as normalised features (M, E), float32.

        Args:
            texts: M texts; a single string counts as one.
            lang: the language of all of them, or one code a text; "auto" guesses among the installed ones.
            precision: "fp32", "bf16", "fp16" or "auto" for the computation; the result is float32 in any case.

        Raises:
            LanguageError: if a language is unknown or not installed; the error names those that are.
        """
        texts = [texts] if isinstance(texts, str) else list(texts)
        with self._moving.shared():
            now = self._installed
            features = torch.zeros(len(texts), self.embed_dim, device=self.base.device)
            for code, rows in self._by_language(now, texts, lang).items():
                part = self._encode(now, [texts[row] for row in rows], code, precision)
                features[torch.as_tensor(rows, device=features.device)] = F.normalize(part, dim=-1)
        return features

    @torch.inference_mode()
    def encode_raw(self, texts: Sequence[str], lang: str, *, precision: str = "fp32") -> torch.Tensor:
        """Features (M, E) of texts of one installed language, not normalised: what training compares with.

        Raises:
            LanguageError: if the language is unknown or not installed.
        """
        with self._moving.shared():
            now = self._installed
            return self._encode(now, texts, check_installed(lang, now.languages), precision)

    def _encode(self, now: Installed, texts: Sequence[str], lang: str, precision: str) -> torch.Tensor:
        """What :meth:`encode_raw` gives with these packs installed; ``lang`` is one of their languages."""
        pack = now.by_language.get(lang)
        tokenizer = pack.state.tokenizer if pack else self.base.tokenizer
        chosen = choose_precision(precision, self.base.device)
        pathway = now.pathway(lang, self.base.text)
        return self.base.encode_tokens(tokenizer.encode(texts), pathway, precision=chosen)

    @torch.inference_mode()
    def encode_image(self, images: Picture | Sequence[Picture], *, batch_size: int = 64) -> torch.Tensor:
        """Encode pictures (paths or Pillow images) as normalised features (N, E), float32.

        Raises:
            ImageError: if a picture cannot be read. To skip and count those, use a feature cache.
        """
        pictures = [images] if isinstance(images, str | Path | Image.Image) else list(images)
        with self._moving.shared():
            features = [torch.zeros(0, self.embed_dim, device=self.base.device)]
            for start in range(0, len(pictures), batch_size):
                pixels = np.stack([self.base.preprocess.load(each) for each in pictures[start : start + batch_size]])
                features.append(F.normalize(self.base.encode_pixels(torch.from_numpy(pixels)), dim=-1))
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
            videos: N paths; a single one counts as one. Animated pictures are videos too.
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
        return F.normalize(texts, dim=-1) @ F.normalize(images, dim=-1).T

    def detect(self, texts: Sequence[str]) -> list[str]:
        """Guess each text's language among the installed ones."""
        return detect(texts, self.languages)

    def image_features(self, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Raw features (N, E) of preprocessed pixels (N, 3, H, W): what a feature cache stores."""
        with self._moving.shared():
            return self._image_features(pixels)

    def _image_features(self, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            return self.base.encode_pixels(torch.from_numpy(pixels)).cpu().numpy()

    def _by_language(self, now: Installed, texts: Sequence[str], lang: str | Sequence[str]) -> dict[str, list[int]]:
        if isinstance(lang, str):
            auto = lang == AUTO
            codes = detect(texts, now.languages) if auto else [check_installed(lang, now.languages)] * len(texts)
        else:
            known = {code: check_installed(code, now.languages) for code in dict.fromkeys(lang)}
            codes = [known[code] for code in lang]
        if len(codes) != len(texts):
            raise ConfigError(
                f"{len(texts)} texts but {len(codes)} language codes", hint="give one code, or one for each text"
            )
        rows: dict[str, list[int]] = {}
        for row, code in enumerate(codes):
            rows.setdefault(code, []).append(row)
        return rows

    def _install(self, packs: Mapping[str, LanguagePack]) -> None:
        self._installed = Installed(packs, self.base.languages, self._installed)


def _move(pack: LanguagePack, device: torch.device | str) -> None:
    for parts in pack.state.parts.values():
        for part in parts:
            part.to(device)
