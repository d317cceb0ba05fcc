"""``glotclip pack``: the language packs of a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glotclip.cli.console import BaseOption, Console

if TYPE_CHECKING:
    from glotclip.packs.folder import PolyglotFolder
    from glotclip.packs.manifest import Manifest

app = typer.Typer(
    help="List, show, verify, add, export, remove and exchange language packs, or move them to another base.",
    no_args_is_help=True,
)
Folder = Annotated[Path, typer.Argument(help="A folder made by `extend`.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
PackOrFolder = Annotated[Path, typer.Argument(metavar="PACK_OR_MODEL_DIR", help="A pack, or a folder of `extend`.")]


@app.command("list")
def list_packs(folder: Folder, as_json: Json = False) -> None:
    """List the packs of a model folder."""
    from glotclip.evaluation.tables import Table

    console = Console(as_json)
    polyglot = _polyglot_folder(folder)
    record, manifests = polyglot.read(), polyglot.manifests()
    rows = tuple(
        (name, ", ".join(m.learnt), m.method, f"{m.parameters:,}", f"{m.bytes / 1e6:.1f}", m.added_tokens, m.created)
        for name, m in manifests.items()
    )
    console.table(
        Table(
            ("pack", "languages", "method", "weights", "MB", "new tokens", "made"),
            rows,
            title=f"{folder}: {record.base.name} with {len(rows)} pack{'s' * (len(rows) != 1)}",
        )
    )
    console.result(
        {
            "base": record.base.model_dump(mode="json"),
            "packs": [{"folder": record.packs[name], **_facts(m)} for name, m in manifests.items()],
        }
    )


@app.command("to-peft")
def to_peft(
    folder: Folder,
    lang: Annotated[str, typer.Option(help="The language whose LoRA is written.")],
    out: Annotated[Path, typer.Option(help="The adapter's folder; it must not exist yet.")],
    base: BaseOption = None,
    as_json: Json = False,
) -> None:
    """Write a language's LoRA in peft's format."""
    from glotclip import api
    from glotclip.ownership import check_new
    from glotclip.packs.exchange import to_peft as write

    console = Console(as_json)
    check_new(out, (folder,))
    write(api.load(folder, device="cpu", base=base), lang, out)
    console.say(f"{out}: an adapter that peft reads")
    console.result({"folder": str(out), "language": lang})


@app.command("from-peft")
def from_peft(
    model: Annotated[
        str, typer.Argument(metavar="BASE", help="The base that the adapter was trained on, or a model folder on it.")
    ],
    adapter: Annotated[Path, typer.Argument(help="The folder that peft saved.")],
    lang: Annotated[str, typer.Option(help="The language it is for.")],
    out: Annotated[Path, typer.Option(help="The model folder to write, or to add the pack to.")],
    base: BaseOption = None,
    as_json: Json = False,
) -> None:
    """Make a language pack of a LoRA that peft saved."""
    from glotclip import api
    from glotclip.packs.exchange import from_peft as read
    from glotclip.packs.folder import PolyglotFolder

    console = Console(as_json)
    target = PolyglotFolder(out)
    target.check(())
    loaded = api.load(model, device="cpu", base=base)
    manifest = read(loaded.base, loaded.source, adapter, lang, target)
    console.say(f"{out} speaks {', '.join(manifest.languages)}: {manifest.parameters:,} weights")
    console.result({"folder": str(out), **_facts(manifest)})


@app.command()
def rebase(
    folder: Folder,
    base: Annotated[str, typer.Option(help="The base to move the packs onto, a fine-tuned copy of theirs.")],
    out: Annotated[Path, typer.Option(help="The folder to write; new or empty.")],
    old_base: Annotated[
        str | None, typer.Option(metavar="PATH", help="Where the packs' own base is, if it is not found by itself.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Copy a model's packs onto another base of the same shape. What they score there must be measured anew."""
    from glotclip import api

    console = Console(as_json)
    _polyglot_folder(folder)
    made = api.rebase(folder, base, out, old_base=old_base)
    console.say(f"{out}: {', '.join(made.languages)} on {made.base.name}; score it with `glotclip evaluate {out}`")
    console.result({"folder": str(out), "base": made.base.name, "languages": made.languages})


@app.command()
def show(
    path: PackOrFolder,
    lang: Annotated[str, typer.Option(help="Only the pack of this language.")] = "",
    as_json: Json = False,
) -> None:
    """Show what a pack is, how it was made, and how well it does."""
    from glotclip.languages import check_installed
    from glotclip.packs.manifest import model_card
    from glotclip.packs.pack import read_manifest

    console = Console(as_json)
    manifests = {str(folder): read_manifest(folder) for folder in _pack_folders(path)}
    if lang:
        code = check_installed(lang, [code for manifest in manifests.values() for code in manifest.languages])
        manifests = {folder: manifest for folder, manifest in manifests.items() if code in manifest.languages}
    for manifest in manifests.values():
        console.say(model_card(manifest))
    console.result({"packs": [{"folder": folder, **m.model_dump(mode="json")} for folder, m in manifests.items()]})


@app.command()
def verify(
    path: PackOrFolder,
    base: Annotated[
        str | None,
        typer.Option(
            metavar="PATH", help="The base: where a model folder's is by now, or what to check a lone pack against."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check every file of a pack or model folder, believing none: format, checksum, tensors, base.

    Leaves with exit code 1 if anything is wrong; each pack that is wrong is named with its fault.
    """
    from glotclip.errors import GlotclipError
    from glotclip.models.checkpoints import load_base
    from glotclip.packs.folder import PolyglotFolder
    from glotclip.packs.pack import LanguagePack, read_manifest, read_weights

    console = Console(as_json)
    folders = _pack_folders(path)
    encoder = None
    if PolyglotFolder.is_one(path):
        encoder = PolyglotFolder(path).load_base(base)
    elif base:
        encoder = load_base(base)
    checked: list[dict[str, Any]] = []
    for folder in folders:
        try:
            if encoder is not None:
                manifest = LanguagePack.load(folder, encoder).manifest
            else:
                manifest = read_manifest(folder)
                read_weights(folder, manifest)
        except GlotclipError as error:  # what a pack refers to may be missing as well
            checked.append({"folder": str(folder), "ok": False, "error": error.message, "hint": error.hint})
            console.say(f"BAD  {folder}: {error.message}\n     → {error.hint}")
        else:
            checked.append({"folder": str(folder), "ok": True, "name": manifest.name, "sha256": manifest.sha256})
            console.say(f"ok   {folder}: {', '.join(manifest.learnt)}, {manifest.bytes / 1e6:.1f} MB")
    if encoder is None:
        console.say("its base was not at hand: name it with --base to check that they fit")
    console.result({"ok": all(each["ok"] for each in checked), "base_checked": encoder is not None, "packs": checked})
    if not all(each["ok"] for each in checked):
        raise typer.Exit(1)


@app.command()
def add(
    folder: Folder,
    pack: Annotated[Path, typer.Argument(help="A pack's folder, another model folder, or what `pack export` wrote.")],
    lang: Annotated[str | None, typer.Option(help="Only the pack of this language.")] = None,
    base: BaseOption = None,
    as_json: Json = False,
) -> None:
    """Add language packs to a model folder, in one step; each is checked before anything changes.

    They must have been made for the same base; all other languages stay as they are, bit for bit.
    """
    from glotclip.packs.saving import add_packs

    console = Console(as_json)
    added = add_packs(_polyglot_folder(folder), pack, lang=lang, base=base)
    console.say(f"added {', '.join(code for manifest in added for code in manifest.learnt)} to {folder}")
    console.result({"folder": str(folder), "added": [_facts(manifest) for manifest in added]})


@app.command()
def export(
    folder: Folder,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The archive to write: .tar.gz, .tgz or .zip.")],
    lang: Annotated[str | None, typer.Option(help="Only the pack of this language.")] = None,
    with_base: Annotated[bool, typer.Option("--with-base", help="Put the base's weights in as well.")] = False,
    base: BaseOption = None,
    as_json: Json = False,
) -> None:
    """Write a model folder's packs as one archive, the same bytes each time.

    Unpacked anywhere it is a model folder; `glotclip pack add` also takes it as it is. Without --with-base it needs
    the base where it arrives: a built-in one, one of the hub, a folder of the same name beside it, or --base PATH.
    """
    from glotclip.packs.saving import export as write

    console = Console(as_json)
    write(_polyglot_folder(folder), out, lang=lang, with_base=with_base, base=base)
    console.say(f"wrote {out}, {out.stat().st_size / 1e6:.1f} MB")
    console.result({"file": str(out), "bytes": out.stat().st_size, "with_base": with_base})


@app.command()
def remove(
    folder: Folder,
    lang: Annotated[str, typer.Argument(help="The language, or the pack's name (`shared`).")],
    as_json: Json = False,
) -> None:
    """Remove a language from a model folder; all others stay as they are, bit for bit.

    A language learnt into a shared pack cannot be taken out of it; the pack as a whole can, by its name.
    """
    console = Console(as_json)
    polyglot = _polyglot_folder(folder)
    gone = polyglot.remove(lang)
    left = list(polyglot.manifests())
    console.say(f"removed {', '.join(gone.learnt)}; packs left: {', '.join(left) or 'none'}")
    console.result({"removed": list(gone.learnt), "left": left})


def _polyglot_folder(path: Path) -> PolyglotFolder:
    from glotclip.errors import PackError
    from glotclip.packs.folder import RECORD, PolyglotFolder

    if not PolyglotFolder.is_one(path):
        raise PackError(f"{path} has no {RECORD}", hint="give a folder that `glotclip extend --out` made")
    return PolyglotFolder(path)


def _pack_folders(path: Path) -> list[Path]:
    """The pack itself, or the packs of a model folder."""
    from glotclip.packs.folder import PolyglotFolder

    if PolyglotFolder.is_one(path):
        return [path / folder for folder in PolyglotFolder(path).read().packs.values()]
    return [path]


def _facts(manifest: Manifest) -> dict[str, Any]:
    return manifest.model_dump(
        mode="json",
        include={"name", "method", "languages", "learnt", "parameters", "bytes", "added_tokens", "created"},
    )
