"""glotclip teaches any English CLIP new languages, cheaply and without forgetting.

The public names below are imported on first use, so that ``import glotclip`` stays instant.
"""

from __future__ import annotations

__version__ = "0.1.0"
