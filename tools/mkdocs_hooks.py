"""What the site has besides docs/: the README as its front page, the changelog, and the benchmarks' tables."""

from __future__ import annotations

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
RESULTS, TABLES = "../benchmarks/results/", "tables/"  # where links in docs/ point, and where that lies in the site


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add pages that lie outside of docs/."""
    for page, source in (("index.md", "README.md"), ("changelog.md", "CHANGELOG.md")):
        text = (ROOT / source).read_text(encoding="utf-8").replace("](docs/", "](").replace("CHANGELOG", "changelog")
        files.append(File.generated(config, page, content=text))
    for table in sorted((ROOT / "docs" / RESULTS).resolve().glob("*.md")):
        files.append(File.generated(config, f"{TABLES}{table.name}", abs_src_path=str(table)))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Let links to benchmark tables lead to their pages."""
    return markdown.replace(f"]({RESULTS}", f"]({TABLES}")
