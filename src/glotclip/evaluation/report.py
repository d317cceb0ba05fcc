"""A run's report: one page to read (``report.html``, nothing to fetch) and one to commit (``report.md``).

:func:`from_run` says what a report of an extend-run holds; :func:`markdown` and :func:`html_page` render any
:class:`Report`; :func:`write` puts both on the disk.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from glotclip.evaluation import plots
from glotclip.evaluation.continual import AccuracyMatrix
from glotclip.evaluation.plots import Curves, HeatMap
from glotclip.evaluation.tables import Cell, Table, escape_markdown
from glotclip.evaluation.tables import markdown as markdown_table
from glotclip.ownership import Workplace, check_file, write_file
from glotclip.scores import DEFAULT_PROTOCOL, DIRECTIONS, PROTOCOLS, REFERENCE
from glotclip.storage import utf8

PAGES = ("report.md", "report.html")
Block = Table | Curves | HeatMap
NO_PLOTS = "Plots need matplotlib: pip install 'glotclip[report]'. The numbers are in the tables."
AVERAGE = "Average over the languages known by then"
MEASURES = (
    "Average: over the languages known by then. Learning accuracy: each language right after it was learnt. "
    "Forgetting: best earlier score minus the last, so 0 is perfect. Backward transfer: last score minus the one "
    "right after learning."
)


@dataclass(frozen=True)
class Section:
    """A heading, a sentence or two, and what is shown under them."""

    title: str
    blocks: tuple[Block, ...]
    text: str = ""

    @property
    def tables(self) -> list[Table]:
        """Those of the blocks that are tables, for a terminal."""
        return [block for block in self.blocks if isinstance(block, Table)]


@dataclass(frozen=True)
class Report:
    """A title, a paragraph, and sections."""

    title: str
    sections: tuple[Section, ...]
    summary: str = ""


# --- what a run's report holds -----------------------------------------------------------------------------------


def from_run(
    *,
    title: str = "Run",
    summary: str = "",
    matrices: Mapping[str, AccuracyMatrix] | None = None,
    gallery: str = "",
    results: Mapping[str, Mapping[str, Any]] | None = None,
    rows: Sequence[Mapping[str, Cell]] = (),
    settings: Mapping[str, Any] | None = None,
    environment: Mapping[str, Any] | None = None,
) -> Report:
    """Build the report of an extend-run.

    Args:
        title: of the page.
        summary: a paragraph.
        matrices: the accuracy matrix of each run, by its name.
        gallery: what the matrices' scores are on, in a few words.
        results: by name, what :func:`glotclip.evaluation.retrieval.evaluate` gave.
        rows: records, shown as a table.
        settings: of the run, may be nested.
        environment: of the run, may be nested.
    """
    sections = _continual(matrices, gallery) if matrices else []
    sections += [_result(name, result) for name, result in (results or {}).items()]
    if rows:
        sections.append(Section("Measurements", (Table.of(rows),)))
    for name, values in (("Settings", settings), ("Environment", environment)):
        if values:
            sections.append(Section(name, (Table(("name", "value"), tuple(flat(values))),)))
    return Report(title, tuple(sections), summary)


def on_gallery(what: str, gallery: str) -> str:
    """Say what a score is on, where that is known."""
    return f"{what} on {gallery}" if gallery else what


def _continual(matrices: Mapping[str, AccuracyMatrix], gallery: str) -> list[Section]:
    """Sections about what was learnt and what was forgotten, one run beside the other."""
    scores = " and ".join(dict.fromkeys(matrix.score for matrix in matrices.values()))
    known = list(dict.fromkeys(language for matrix in matrices.values() for language in matrix.known))
    summary = Table.of(
        [_summary_row(name, matrix, known) for name, matrix in matrices.items()],
        title=f"Scores on {gallery}" if gallery else "",
        note=MEASURES,
    )
    lines: dict[str, dict[str, list[float | None]]] = {
        AVERAGE: {name: [each.summary(i)["average"] for i in range(each.last + 1)] for name, each in matrices.items()}
    }
    for language in known:
        lines[f"Language {language}, known before the first task"] = {
            name: [row.get(language) for row in matrix.rows] for name, matrix in matrices.items()
        }
    longest = max(matrices.values(), key=lambda matrix: matrix.last)
    # Runs in another order share no names of steps, only their numbers.
    common = all(longest.labels[: len(matrix.labels)] == matrix.labels for matrix in matrices.values())
    steps = longest.labels if common else tuple(str(i) for i in range(len(longest.labels)))
    curves = tuple(
        Curves(
            title,
            steps,
            {name: (*line, *[None] * (len(steps) - len(line))) for name, line in by_run.items()},
            unit=f"{scores} (%)",
        )
        for title, by_run in lines.items()
    )
    maps = tuple(
        HeatMap(
            f"{name}: language after task",
            matrix.labels,
            matrix.languages,
            tuple(tuple(row.get(language) for language in matrix.languages) for row in matrix.rows),
        )
        for name, matrix in matrices.items()
    )
    return [
        Section(
            "Learning and forgetting",
            (summary, _languages(matrices, gallery)),
            f"{on_gallery(f'Scores are {scores}', gallery)}, in percent.",
        ),
        Section("After each task", curves, f"{on_gallery('Scores', gallery)}." if gallery else ""),
        Section("Every language after every task", maps, f"{on_gallery('Scores', gallery)}." if gallery else ""),
    ]


def _summary_row(name: str, matrix: AccuracyMatrix, known: Sequence[str]) -> dict[str, Cell]:
    summary = matrix.summary()
    row: dict[str, Cell] = {"run": name}
    row |= {key.replace("_", " "): summary[key] for key in summary if not key.startswith("forgetting_")}
    for language in known:
        row |= {f"{language} before": matrix.rows[0].get(language), f"{language} after": matrix.final(language)}
    return row


def _languages(matrices: Mapping[str, AccuracyMatrix], gallery: str) -> Table:
    """Each language right after it was learnt and at the end, in every run."""
    records: dict[str, dict[str, Cell]] = {}
    for name, matrix in matrices.items():
        prefix = f"{name}: " if len(matrices) > 1 else ""
        for language in (*matrix.known, *matrix.taught):
            lost = matrix.lost(language)
            records.setdefault(language, {"language": language}).update(
                {
                    f"{prefix}learnt": matrix.learned(language),
                    f"{prefix}at the end": matrix.final(language),
                    f"{prefix}change": None if lost is None else -lost,
                }
            )
    return Table.of(list(records.values()), title=on_gallery("Each language", gallery))


def _result(name: str, result: Mapping[str, Any]) -> Section:
    """One evaluation: scores of each language and how far they lie apart."""
    divided = result.get("text_subsets", ())
    rivals = result.get("rivals", {})
    records = _beside_rivals(result, divided) if rivals else _of_model(result, divided)
    ranking = str(result.get("ranking", DEFAULT_PROTOCOL))  # older results do not say it
    note = (
        "T→I: text to image, I→T: image to text. 95 %: bootstrap interval over images. "
        f"Protocol {ranking}, {PROTOCOLS.get(ranking, 'unknown here')}."
    )
    note += "".join(f" {rival}: {found['model']}." for rival, found in rivals.items())
    gallery = str(result.get("gallery", ""))
    tables = [Table.of(records, title=on_gallery("Retrieval", gallery) if gallery else "", note=note)]
    if len(result["languages"]) > 1:
        disparity = [
            {"score": score, **{key.replace("_", " "): value for key, value in values.items() if key != "gaps"}}
            for score, values in result["disparity"].items()
            if score != "reference"
        ]
        title = f"Disparity between languages, gaps to {result['disparity']['reference']}"
        tables.append(Table.of(disparity, title=on_gallery(f"{title},", gallery) if gallery else title))
    return Section(name, tuple(tables), f"{result.get('protocol', '')}{_duplicates(result)}".strip())


def _of_model(result: Mapping[str, Any], divided: Sequence[str]) -> list[dict[str, Cell]]:
    """A row a language, and the average of several."""
    records = [_scores(code, scores, divided) for code, scores in result["languages"].items()]
    return [*records, _scores("average", result["average"])] if len(records) > 1 else records


def _beside_rivals(result: Mapping[str, Any], divided: Sequence[str]) -> list[dict[str, Cell]]:
    """For each language a row of the model and one of each rival, English first; then their averages without English.

    A system's average is given where it was scored in all languages that the model was.
    """
    systems = {"model": result["languages"]} | {name: of["languages"] for name, of in result["rivals"].items()}
    codes = list(dict.fromkeys(code for scored in systems.values() for code in scored))
    records = [
        {"language": code, "by": name, **_scores(code, scored[code], divided)}
        for code in sorted(codes, key=lambda code: code.split("-")[0] != REFERENCE)
        for name, scored in systems.items()
        if code in scored
    ]
    foreign = [code for code in result["languages"] if code.split("-")[0] != REFERENCE]
    for name, scored in systems.items() if len(foreign) > 1 else ():
        if all(code in scored for code in foreign):
            records.append(
                {"language": "average", "by": name, **_means([_scores(c, scored[c], divided) for c in foreign])}
            )
    return records


def _means(records: Sequence[Mapping[str, Cell]]) -> dict[str, Cell]:
    """The mean of every column of scores that all records have."""
    numbers = {name: [record.get(name) for record in records] for name in records[0]}
    return {
        name: sum(found) / len(found)
        for name, values in numbers.items()
        if len(found := [value for value in values if isinstance(value, float)]) == len(records)
    }


def _duplicates(result: Mapping[str, Any]) -> str:
    """A sentence on identical images, which count against each other; empty where there are none."""
    found = result.get("duplicates", {})
    if not found.get("images"):
        return ""
    merged = "; ".join(
        f"{code} {scores['text_to_image.r@1']:.1f} and {scores['image_to_text.r@1']:.1f}"
        for code, scores in found["merged"].items()
    )
    return (
        f" {found['images']:,} of the images are identical to another ({found['groups']:,} groups) and count against "
        f"each other; taken as one, R@1 would be (T→I and I→T): {merged}."
    )


def _scores(name: str, scores: Mapping[str, Any], divided: Sequence[str] = ()) -> dict[str, Cell]:
    """One row; subsets that divide texts say how many there are."""
    row: dict[str, Cell] = {"language": name}
    for direction, short in zip(DIRECTIONS, ("T→I", "I→T"), strict=True):
        entry = scores[direction]
        row[f"{short} R@1"] = entry["r@1"]
        if "ci95" in entry:
            low, high = entry["ci95"]["r@1"]
            row[f"{short} 95 %"] = f"{low:.1f}–{high:.1f}"
        for key in ("r@5", "r@10"):
            row[f"{short} {key.upper()}"] = entry[key]
    row["mean recall"] = scores["mean_recall"]
    for subset, part in scores.get("subsets", {}).items():
        row[f"{subset} T→I R@1"] = part["text_to_image"]["r@1"]
        if subset in divided:
            row[f"{subset} texts"] = part["text_to_image"].get("n_queries")
    return row


def flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[Cell, ...]]:
    """Nested settings as rows of dotted name and value."""
    rows: list[tuple[Cell, ...]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            rows += flat(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            rows.append((f"{prefix}{key}", ", ".join(str(item) for item in value)))
        else:
            rows.append((f"{prefix}{key}", str(value)))
    return rows


# --- rendering ---------------------------------------------------------------------------------------------------


def markdown(report: Report) -> str:
    """Render as GitHub Markdown; curves and heat maps are given as their numbers."""
    blocks = [f"# {escape_markdown(report.title)}"]
    blocks += [escape_markdown(report.summary)] if report.summary else []
    for section in report.sections:
        blocks.append(f"## {escape_markdown(section.title)}")
        blocks += [escape_markdown(section.text)] if section.text else []
        for block in section.blocks:
            table = block if isinstance(block, Table) else block.table()
            blocks += [f"### {escape_markdown(table.title)}"] if table.title else []
            blocks.append(markdown_table(table).rstrip("\n"))
    return "\n\n".join(blocks) + "\n"


def html_page(report: Report, *, draw: bool | None = None) -> str:
    """Render as one self-contained page, with plots if matplotlib is there (or as ``draw`` says)."""
    draw = plots.available() if draw is None else draw
    blocks = [f"<h1>{_h(report.title)}</h1>", *_paragraph(report.summary, "lead")]
    if not draw and any(len(section.tables) < len(section.blocks) for section in report.sections):
        blocks += _paragraph(NO_PLOTS, "note")
    for section in report.sections:
        blocks += [f"<section>\n<h2>{_h(section.title)}</h2>", *_paragraph(section.text)]
        for block in section.blocks:
            blocks += _html_block(block, draw=draw)
        blocks.append("</section>")
    template = Template(resources.files("glotclip.evaluation").joinpath("report.html").read_text(encoding="utf-8"))
    return template.substitute(title=_h(report.title), body="\n".join(blocks))


def write(report: Report, folder: Path) -> tuple[Path, Path]:
    """Write ``report.md`` and ``report.html`` into ``folder``, each atomically, and return their paths.

    Raises:
        StorageError: if a file of that name is there that glotclip did not make; neither is written then.
    """
    workplace = Workplace(folder, "report")
    pages = dict(zip(PAGES, (markdown(report), html_page(report)), strict=True))
    listed = workplace.listed  # else it is somebody's folder, in which no list is left
    for name in pages:
        if listed:
            workplace.check_name(name)
        else:
            check_file(folder / name)
    for name, text in pages.items():
        if listed:
            workplace.write_text(name, text)
        else:
            write_file(folder / name, utf8(text))
    return folder / PAGES[0], folder / PAGES[1]


def _html_block(block: Block, *, draw: bool) -> list[str]:
    table = block if isinstance(block, Table) else block.table()
    blocks = [f"<h3>{_h(table.title)}</h3>"] if table.title else []
    if not isinstance(block, Table) and draw:
        blocks.append(f'<figure class="wide">{block.svg()}</figure>')
        blocks.append(f"<details><summary>As numbers</summary>\n{_html_table(table)}\n</details>")
    else:
        blocks.append(_html_table(table))
    return [*blocks, *_paragraph(table.note, "note")]


def _html_table(table: Table) -> str:
    kinds = [' class="n"' if numeric else "" for numeric in table.numeric()]
    head = "".join(f'<th scope="col"{kind}>{_h(name)}</th>' for name, kind in zip(table.columns, kinds, strict=True))
    rows = "\n".join(
        "<tr>" + "".join(f"<td{kind}>{_h(cell)}</td>" for cell, kind in zip(row, kinds, strict=True)) + "</tr>"
        for row in table.texts()
    )
    return f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table></div>'


def _paragraph(text: str, kind: str = "") -> list[str]:
    name = f' class="{kind}"' if kind else ""
    return [f'<p{name} dir="auto">{_h(text)}</p>'] if text else []


def _h(text: str) -> str:
    return html.escape(text, quote=True)
