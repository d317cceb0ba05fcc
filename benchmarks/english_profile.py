"""The profile of English that comes with glotclip, by which English texts are told from others.

    python benchmarks/english_profile.py

Learnt from names and keywords of the emoji concepts that are taught
(split train), so that the held-out concepts stay held out. Writes ``src/glotclip/assets/profiles/en.json``; the same
names give the same bytes.
"""

from __future__ import annotations

from pathlib import Path

from glotclip.data import emoji
from glotclip.packs.language_profile import Profile, write_profiles

TARGET = Path(__file__).parents[1] / "src" / "glotclip" / "assets" / "profiles" / "en.json"


def english_texts() -> list[str]:
    """Names and keywords of the concepts that are taught."""
    split = emoji.concepts()
    named = {concept: names for concept, names in emoji.texts("en", "cldr").items() if split[concept] == "train"}
    return [text for names in named.values() for text in (names.name, *names.keywords)]


if __name__ == "__main__":
    texts = english_texts()
    write_profiles(TARGET, {"en": Profile.learn(texts)})
    print(f"{TARGET}: {len(texts):,} texts, {TARGET.stat().st_size:,} bytes")
