"""``defectscope generate``: labelled synthetic data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from defectscope.cli.common import (
    PATH,
    component_options,
    current_host,
    given_by_user,
    once,
    plural,
    say,
    shown_progress,
    warn,
)
from defectscope.cli.completion import names_of

if TYPE_CHECKING:
    from defectscope.core.datasets import Dataset
    from defectscope.plugins.host import PluginHost

__all__ = ["generate"]

PREVIEWED = 6
# Parameters that go on as they are.
PASSED_ON = ("background", "count", "length", "seed", "workers", "masks", "resume", "overwrite")
# Parameters that fit a sample drawn again; the others would make another sample.
FOR_ANY_SAMPLE = ("source", "out", "masks", "preview", "assignments")


def _shape(_: click.Context, __: click.Parameter, text: str) -> tuple[int, int]:
    parts = text.lower().split("x")
    try:
        width, height = (int(part) for part in (parts * 2 if len(parts) == 1 else parts))
    except ValueError:
        raise click.BadParameter(
            f"expected SIDE or WIDTHxHEIGHT in px, such as 512 or 1120x710, found {text!r}"
        ) from None
    return height, width


@click.command()
@click.argument("names", nargs=-1, metavar="NAME...", shell_complete=names_of("generators"))
@once(
    "--background",
    default="defectscope/texture",
    show_default=True,
    metavar="NAME",
    help="Background to draw on.",
    shell_complete=names_of("backgrounds"),
)
@once("--count", type=click.IntRange(1), default=1, show_default=True, help="Number of samples.")
@once(
    "--length",
    type=click.IntRange(1),
    metavar="FRAMES",
    help="Make each sample a sequence of this many frames.",
)
@once(
    "--size",
    "shape",
    default="512",
    show_default=True,
    read=_shape,
    metavar="PX",
    help="SIDE or WIDTHxHEIGHT.",
)
@once("--seed", type=click.IntRange(0), default=0, show_default=True)
@once("--bit-depth", type=click.Choice(["8", "16"]), default="8", show_default=True)
@once("--out", required=True, type=PATH, metavar="DIR", help="Dataset folder.")
@component_options
@once(
    "--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes that draw."
)
@click.option("--masks", is_flag=True, help="Also write a PNG mask of every instance.")
@click.option("--preview", is_flag=True, help="Also write a contact sheet, preview.png.")
@once(
    "--from",
    "source",
    type=PATH,
    metavar="FILE.json",
    help="Draw the sample of this parameters file again; --set says where its files are now.",
)
@click.option("--resume", is_flag=True, help="Go on with an interrupted dataset.")
@click.option("--overwrite", is_flag=True, help="Replace a former dataset in --out.")
@click.pass_context
def generate(context: click.Context, /, **given: Any) -> None:
    """Generate labelled images with the generators NAME, which share each image.

    \b
    Examples:
      defectscope generate in-situ-loops --length 60 --out sequence
      defectscope generate in-situ-loops --count 100 --workers 2 --out data --preview
      defectscope generate --from data/parameters/000042.json --out again
    """
    from defectscope.pipeline.choices import gather_options, read_config
    from defectscope.pipeline.generating import generate as generate_dataset
    from defectscope.pipeline.generation import is_complete

    host = current_host(context)
    if given["source"] is not None:
        _refuse_others(context)
        _again(given, host)
        return
    options = gather_options(given["assignments"], read_config(given["config"]))
    height, width = given["shape"]
    length = given["length"] or 1
    shown = _previewed(given["count"] * length) if given["preview"] else ()
    ending = ", already complete" if given["resume"] and is_complete(given["out"]) else ""
    with shown_progress() as progress:
        dataset = generate_dataset(
            given["names"],
            given["out"],
            size=(width, height),
            bit_depth=16 if given["bit_depth"] == "16" else 8,
            options=options,
            whole={place // length for place in shown},
            host=host,
            progress=progress,
            **{name: given[name] for name in PASSED_ON},
        )
    for text in dataset.warnings:
        warn(text)
    if given["preview"]:
        _preview(dataset, given["out"], host)
    found = sum(len(image.instances) for image in dataset.images)
    made = f"{plural(len(dataset.images), 'image')}, {plural(found, 'instance')}"
    say(f"{made} in {given['out']}{ending}")


def _refuse_others(context: click.Context) -> None:
    from defectscope.core.errors import UsageError

    others = [
        "the names of generators" if isinstance(parameter, click.Argument) else parameter.opts[0]
        for parameter in context.command.params
        # Options of every command, such as --debug, are no values of this one.
        if parameter.name in context.params
        and parameter.name not in FOR_ANY_SAMPLE
        and given_by_user(context, parameter.name)
        and context.params[parameter.name] != ()  # no name at all is given, too
    ]
    if others:
        raise UsageError(f"--from draws one sample again as it was; leave out {', '.join(others)}")


def _again(given: dict[str, Any], host: PluginHost) -> None:
    from defectscope.pipeline.choices import gather_options
    from defectscope.pipeline.redrawing import draw_again

    out: Path = given["out"]
    places = gather_options(given["assignments"], {})
    dataset = draw_again(given["source"], out, host, places, masks=given["masks"])
    for text in dataset.warnings:
        warn(text)
    if given["preview"]:
        _preview(dataset, out, host)
    say(f"{plural(len(dataset.images), 'image')}, the same pixels, in {out}")


def _previewed(count: int) -> list[int]:
    """Return which of the images are shown, spread over all: neighbours in time look alike."""
    step = (count - 1) / max(1, min(count, PREVIEWED) - 1)
    return [round(k * step) for k in range(min(count, PREVIEWED))]


def _preview(dataset: Dataset, out: Path, host: PluginHost) -> None:
    import cv2
    import numpy as np

    from defectscope.core.files import write_bytes
    from defectscope.pipeline.contact_sheet import contact_sheet
    from defectscope.pipeline.generation import PREVIEW

    images = [
        # OpenCV's own reading of files fails on Windows where a path is not plain ASCII.
        (
            np.asarray(
                cv2.imdecode(np.fromfile(out / image.file_name, np.uint8), cv2.IMREAD_UNCHANGED)
            ),
            image.instances,
        )
        for image in (dataset.images[place] for place in _previewed(len(dataset.images)))
    ]
    sheet = cv2.cvtColor(contact_sheet(images, host.defect_types(), 2), cv2.COLOR_RGB2BGR)
    write_bytes(out / PREVIEW, cv2.imencode(".png", sheet)[1].tobytes())
