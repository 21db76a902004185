"""``defectscope weights``: what is installed, what it is, and a safe way in for others."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from defectscope.cli.common import PATH, current_host, once, say, show_json
from defectscope.cli.completion import names_of

if TYPE_CHECKING:
    from defectscope.core.weights import WeightsCard
    from defectscope.plugins.host import PluginHost

__all__ = ["weights"]


@click.group()
def weights() -> None:
    """List, explain and convert weights of trained detectors."""


@weights.command("list")
@click.option("--json", "as_json", is_flag=True, help="Write JSON to stdout.")
@click.pass_context
def list_(context: click.Context, as_json: bool) -> None:
    """List the weights that are installed, shipped ones and those of plugins."""
    host = current_host(context)
    rows = [_row(host, name) for name in sorted(entry.qualified for entry in _entries(host))]
    if as_json:
        show_json(rows)
        return
    from defectscope.cli.plain_tables import show_table

    cells = []
    for row in rows:
        problem = row.get("cannot_be_used")
        cells.append(
            (row["name"], row.get("detector", "–"), row.get("licence", "–"),
             ", ".join(row.get("defect_types", ())),
             f"cannot be used: {problem}" if problem else _about(row))
        )  # fmt: skip
    show_table(("name", "detector", "licence", "defect types", "summary"), cells)


def _about(row: dict[str, Any]) -> str:
    bare = row.get("no_card", False)
    return f"{row['summary']} (no card: {row['path']})" if bare else str(row["summary"])


def _entries(host: PluginHost) -> list[Any]:
    return host.registered("weights")


def _row(host: PluginHost, qualified: str) -> dict[str, Any]:
    from defectscope.core.errors import DefectscopeError
    from defectscope.core.weights import registered_file
    from defectscope.plugins.quiet import quiet_stdout

    entry = next(entry for entry in _entries(host) if entry.qualified == qualified)
    row: dict[str, Any] = {
        "name": entry.name,
        "distribution": entry.plugin.distribution,
        "summary": entry.spec.summary,
    }
    try:
        with quiet_stdout():
            given = registered_file(entry.spec)
        if given.is_file() and not given.with_suffix(".json").is_file():
            # Those of a plugin's own detector may do without one.
            return row | {"path": str(given), "no_card": True}
        path, card = _card(given)
    except DefectscopeError as error:
        return row | {"cannot_be_used": str(error)}
    return row | {
        "detector": card.detector, "defect_types": list(card.defect_types),
        "licence": card.licence, "threshold": card.threshold, "path": str(path),
    }  # fmt: skip


def _card(path: Path) -> tuple[Path, WeightsCard]:
    from defectscope.core.weights import WeightFiles

    files = WeightFiles.open(path)
    return files.tensors, files.card


@weights.command()
@click.argument("name", shell_complete=names_of("weights"))
@click.option("--json", "as_json", is_flag=True, help="Write the card as JSON to stdout.")
@click.pass_context
def info(context: click.Context, name: str, as_json: bool) -> None:
    """Show the card of weights: NAME is a registered name or a file.

    Files that are missing or damaged are an error, after the card.
    """
    from defectscope.core.weights import WeightFiles, find_weights
    from defectscope.plugins.quiet import quiet_stdout

    with quiet_stdout():
        found = find_weights(name, current_host(context).weights())
    files = WeightFiles.open(found)
    path, card = files.tensors, files.card
    _show(path, card, as_json)
    for suffix in card.sha256:
        files.checked(f".{suffix}")


def _show(path: Path, card: WeightsCard, as_json: bool) -> None:
    values = card.model_dump(mode="json")
    if as_json:
        show_json(values)
        return
    from defectscope.core.files import json_text

    for key, value in {"file": str(path), **values}.items():
        shown = value if isinstance(value, str | int | float) else json_text(value)
        click.echo(f"{click.style(key.replace('_', ' '), bold=True)}: {shown}")


@weights.command()
@click.argument("source", type=PATH, metavar="FILE.pt")
@click.argument("out", type=PATH, metavar="OUT.safetensors")
@once(
    "--detector",
    metavar="NAME",
    help="Whose network it holds; a card is written too.",
    shell_complete=names_of("detectors"),
)
@once("--defect-types", metavar="A,B", default="", help="Names of its classes, with --detector.")
@click.option("--overwrite", is_flag=True, help="Replace OUT, and its card and twin.")
@click.pass_context
def convert(
    context: click.Context,
    source: Path,
    out: Path,
    detector: str | None,
    defect_types: str,
    overwrite: bool,
) -> None:
    """Copy the tensors of a torch checkpoint into a safetensors file, running none of its code.

    Of a training checkpoint the state of the model is taken. Checkpoints that need code to be
    opened are refused. With --detector yolov3, files of ultralytics become weights that can be
    used at once.
    """
    from defectscope.core.errors import OutputError, UsageError
    from defectscope.core.files import atomic_path
    from defectscope.core.weights import refuse_foreign
    from defectscope.pipeline.checkpoints import read_checkpoint

    if out.suffix != ".safetensors":
        raise UsageError(f"the result must be a .safetensors file, found {out.name}")
    if out.exists() and not overwrite:
        raise OutputError(f"{out} exists; replace it with --overwrite, or choose another name")
    if detector is not None:
        refuse_foreign(out, overwrite, [source])
        _convert_for(current_host(context), detector, source, out, defect_types)
        return
    if defect_types:
        raise UsageError("--defect-types needs --detector NAME")
    tensors = read_checkpoint(source)
    from safetensors.numpy import save

    with atomic_path(out) as temporary:
        temporary.write_bytes(save(tensors, {"converted_from": source.name}))
    size = sum(array.size for array in tensors.values())
    say(f"{len(tensors)} tensors with {size / 1e6:.2f} million numbers in {out}")
    say(
        "these are tensors alone, for options that take a file of them (encoder_weights, "
        "backbone_weights); no detector finds anything with them. As weights, files of other "
        f"programs can be read for: {_converting(current_host(context))} (--detector NAME)"
    )


def _converts(detector: type) -> bool:
    from defectscope.core.base import TrainableDetector

    if not issubclass(detector, TrainableDetector):
        return False
    owner = next(cls for cls in detector.__mro__ if "convert" in vars(cls))
    return owner is not TrainableDetector


def _converting(host: PluginHost) -> str:
    """Return the names of the detectors for which files of other programs can be read."""
    from defectscope.core.errors import DefectscopeError

    names = []
    for entry in host.registered("detectors"):
        with suppress(DefectscopeError):  # one that cannot be loaded reads nothing
            if _converts(host.load_class(entry)):
                names.append(entry.name)
    return ", ".join(sorted(names)) or "none"


def _convert_for(host: PluginHost, name: str, source: Path, out: Path, defect_types: str) -> None:
    from defectscope.core.base import TrainableDetector
    from defectscope.core.errors import UsageError
    from defectscope.pipeline.named import NamedComponent
    from defectscope.pipeline.training import written_weights

    named = NamedComponent.of_class(host, "detectors", name)
    detector = named.component
    if not issubclass(detector, TrainableDetector):
        raise UsageError(f"the detector {name!r} has no weights")
    if not _converts(detector):
        raise UsageError(
            f"weights of other programs cannot be read for {name!r}, only for: "
            f"{_converting(host)}; train it instead, or leave out --detector to copy the tensors "
            "alone"
        )
    names = [part.strip() for part in defect_types.split(",") if part.strip()]
    where = f"while it read {source}"
    files = written_weights(named, where, out, detector.convert, source, out, names)
    card = files.card
    say(f"weights of {name} for {', '.join(card.defect_types)} are in {out}")
