"""A polyglot: one frozen base, and the packs that teach it languages. The language is always an argument.

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
from glotclip.languages import check_installed, normalise
from glotclip.methods.part import Route
from glotclip.models.device import choose_precision
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.pathway import Pathway
from glotclip.packs.pack import LanguagePack, check_base

Picture = str | Path | Image.Image
AUTO = "auto"
MERGED_LANGUAGES = 8  # merged weights are kept for so many: for a ViT-B/32's text tower 38 MB a language
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
        self._packs: dict[str, LanguagePack] = {}
        self._routes: dict[str, Route] = {}
        for pack in packs:
            self.add_pack(pack)

    @property
    def languages(self) -> list[str]:
        """The languages that can be asked in: the base's own first, then the packs' in order of installation."""
        own = [code for code in self.base.languages if code not in self._routes]
        return [*own, *self._routes]

    @property
    def packs(self) -> Mapping[str, LanguagePack]:
        """The installed packs by name."""
        return dict(self._packs)

    @property
    def embed_dim(self) -> int:
        """Width of the features, E."""
        return self.base.embed_dim

    def to(self, device: torch.device | str) -> Polyglot:
        """Move the base and all packs, in place."""
        self.base.to(device)
        for pack in self._packs.values():
            for parts in pack.state.parts.values():
                for part in parts:
                    part.to(device)
        self._reroute()
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
        check_base(pack.manifest, self.base)
        for other in self._packs.values():
            both = set(pack.languages) & set(other.languages)
            if other.name != pack.name and both:
                raise LanguageError(
                    f"the pack {other.name!r} already provides {', '.join(sorted(both))}",
                    hint=f"remove the pack {other.name!r} first, or keep it and leave {pack.name!r} out",
                )
        self._packs[pack.name] = pack
        self._reroute()
        return pack

    def remove_pack(self, lang: str) -> LanguagePack:
        """Uninstall the pack that provides ``lang``, and return it. The other packs are untouched.

        Args:
            lang: a language, or the name of a pack.

        Raises:
            LanguageError: if no pack provides the language.
        """
        code = lang if lang in self._packs else normalise(lang)
        pack = self._packs.get(code) or self.pack_of(code)
        if pack is None:
            installed = ", ".join(self._packs) or "none"
            raise LanguageError(f"no pack provides {code!r}", hint=f"installed packs: {installed}")
        del self._packs[pack.name]
        self._reroute()
        return pack

    def save(self, folder: Path | str, *, with_base: bool | None = None) -> Path:
        """Write the model with the packs it has now; see :func:`glotclip.packs.saving.save_polyglot`."""
        from glotclip.packs.saving import save_polyglot

        return save_polyglot(self, folder, with_base=with_base)

    def pack_of(self, lang: str) -> LanguagePack | None:
        """The pack that provides a language, or None where the base does."""
        return next((pack for pack in self._packs.values() if lang in pack.languages), None)

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
        features = torch.zeros(len(texts), self.embed_dim, device=self.base.device)
        for code, rows in self._by_language(texts, lang).items():
            part = self.encode_raw([texts[row] for row in rows], code, precision=precision)
            features[torch.as_tensor(rows, device=features.device)] = F.normalize(part, dim=-1)
        return features

    @torch.inference_mode()
    def encode_raw(self, texts: Sequence[str], lang: str, *, precision: str = "fp32") -> torch.Tensor:
        """Features (M, E) of texts of one installed language, not normalised: what training compares with."""
        pack = self.pack_of(lang)
        tokenizer = pack.state.tokenizer if pack else self.base.tokenizer
        chosen = choose_precision(precision, self.base.device)
        return self.base.encode_tokens(tokenizer.encode(texts), self._pathway(lang), precision=chosen)

    @torch.inference_mode()
    def encode_image(self, images: Picture | Sequence[Picture], *, batch_size: int = 64) -> torch.Tensor:
        """Encode pictures (paths or Pillow images) as normalised features (N, E), float32.

        Raises:
            ImageError: if a picture cannot be read. To skip and count those, use a feature cache.
        """
        pictures = [images] if isinstance(images, str | Path | Image.Image) else list(images)
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
        features = [torch.zeros(0, self.embed_dim, device=self.base.device)]
        for start in range(0, len(paths), _VIDEOS):  # memory holds the frames of so many
            clips = [sample(path, picks, self.base.preprocess.load).frames for path in paths[start : start + _VIDEOS]]
            pooled = pool_clips(clips, self.image_features, batch=batch_size)
            features.append(torch.from_numpy(pooled).to(self.base.device))
        return torch.cat(features)

    @staticmethod
    def similarity(texts: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Cosine similarities (M, N) of features (M, E) and (N, E), normalised or not."""
        return F.normalize(texts, dim=-1) @ F.normalize(images, dim=-1).T

    def detect(self, texts: Sequence[str]) -> list[str]:
        """Guess each text's language among the installed ones."""
        from glotclip.languages import detect

        return detect(texts, self.languages)

    def image_features(self, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Raw features (N, E) of preprocessed pixels (N, 3, H, W): what a feature cache stores."""
        with torch.inference_mode():
            return self.base.encode_pixels(torch.from_numpy(pixels)).cpu().numpy()

    def _by_language(self, texts: Sequence[str], lang: str | Sequence[str]) -> dict[str, list[int]]:
        if isinstance(lang, str):
            codes = self.detect(texts) if lang == AUTO else [check_installed(lang, self.languages)] * len(texts)
        else:
            known = {code: check_installed(code, self.languages) for code in dict.fromkeys(lang)}
            codes = [known[code] for code in lang]
        if len(codes) != len(texts):
            raise ConfigError(
                f"{len(texts)} texts but {len(codes)} language codes", hint="give one code, or one for each text"
            )
        rows: dict[str, list[int]] = {}
        for row, code in enumerate(codes):
            rows.setdefault(code, []).append(row)
        return rows

    def _pathway(self, lang: str) -> Pathway | None:
        """The way of a language for serving: what weights can absorb is merged, for the languages asked for last."""
        if lang not in self._routes:
            return None
        pathway = self._merged.pop(lang, None) or self._routes[lang].merged(self.base.text)
        self._merged[lang] = pathway  # the last asked for is the last in order
        while len(self._merged) > MERGED_LANGUAGES:
            del self._merged[next(iter(self._merged))]
        return pathway

    def _reroute(self) -> None:
        self._merged: dict[str, Pathway] = {}
        self._routes = {code: pack.state.route(code) for pack in self._packs.values() for code in pack.languages}
