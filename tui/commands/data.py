"""`goe data`: data sets found, fetched and verified."""

import sys
from typing import Annotated, Any

import typer

from tui.commands.options import AsJson, DataRoot
from tui.commands.output import print_columns, print_json
from tui.commands.selection import use_data

data_app = typer.Typer(help="Data sets.", no_args_is_help=True)
DataName = Annotated[str, typer.Argument(metavar="NAME", help="A data set; `goe data list` shows them.")]


@data_app.command("list")
def data_list(data: DataRoot = None, as_json: AsJson = False) -> None:
    """List the known data sets: what each is for, and which are there."""
    from goe.core.report import size
    from goe.data.registry import ALL
    from goe.data.store import look

    root = use_data(data)
    found = [look(entry, root) for entry in ALL]
    if as_json:
        print_json([_data_record(each) for each in found])
        return
    lines = [("data set", "for", "state", "size", "what")]
    for each in found:
        roles = ", ".join(role if role != "ood" else "OOD tests" for role in each.entry.roles)
        shown = size(each.size) if each.size is not None else "–"
        lines.append((each.entry.name, roles.replace("id", "ID", 1), each.state, shown, each.entry.title))
    print_columns(lines)


@data_app.command("info")
def data_info(name: DataName, data: DataRoot = None, as_json: AsJson = False) -> None:
    """Say what a data set is, where it belongs, its licence, and how to get it."""
    from goe.data.store import describe, find, look

    found = look(find(name), use_data(data))
    if as_json:
        print_json(_data_record(found))
    else:
        print("\n".join(describe(found)))


def _data_record(found: Any) -> dict[str, Any]:
    from dataclasses import asdict

    path = None if found.path is None else str(found.path)
    return {**asdict(found.entry), "path": path, "state": found.state, "bytes": found.size}


@data_app.command("fetch")
def data_fetch(names: Annotated[list[str], typer.Argument(metavar="NAME…")], data: DataRoot = None) -> None:
    """Download data sets into the data folder; what was broken off goes on."""
    from goe.data.store import fetch, find
    from tui.progress import download_bar

    root = use_data(data)
    for entry in [find(name) for name in names]:
        if entry.warning:
            print(f"{entry.name}: {entry.warning}", file=sys.stderr)
        with download_bar(entry.name) as progress:
            place = fetch(entry, root, progress)
        print(f"{entry.name}: {place or 'built in; nothing to fetch'}")


@data_app.command("verify")
def data_verify(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME…", help="Default: all that are there.")] = None,
    data: DataRoot = None,
) -> None:
    """Compare what is there with its checksums; without any, with what is known of it."""
    from goe.data.registry import ALL
    from goe.data.store import find, look
    from goe.data.verify import verify

    root = use_data(data)
    entries = [find(name) for name in names] if names else [e for e in ALL if e.place and look(e, root).present]
    bad = False
    for entry in entries:
        verdict = verify(entry, root)
        bad = bad or bool(verdict.faults)
        print("\n".join(verdict.faults) or f"{entry.name}: {verdict.said}")
    if not entries:
        print(f"no data sets in {root}; `goe data fetch NAME` gets some", file=sys.stderr)
    raise typer.Exit(2 if bad else 0)


@data_app.command("path")
def data_path(data: DataRoot = None) -> None:
    """Print the data folder that goe would use."""
    print(use_data(data).absolute())
