"""``defectscope convert``: annotations from one format to another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from defectscope.cli.common import PATH, current_host, once, plural, say, warn
from defectscope.cli.completion import names_of

__all__ = ["convert"]


@click.command()
@click.argument("source", type=PATH, metavar="IN")
@click.argument("target", type=PATH, metavar="OUT")
@once(
    "--to",
    "to_format",
    required=True,
    metavar="FORMAT",
    help="Format of OUT.",
    shell_complete=names_of("formats"),
)
@once(
    "--from",
    "from_format",
    metavar="FORMAT",
    help="Format of IN, where it is not recognised.",
    shell_complete=names_of("formats"),
)
@click.option("--copy-images", is_flag=True, help="Copy the images too, to where OUT expects them.")
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="FORMAT.OPTION=VALUE",
    help="Set an option of a format; may be repeated.",
)
@click.option("--overwrite", is_flag=True, help="Replace files of OUT that exist.")
@click.pass_context
def convert(
    context: click.Context,
    source: Path,
    target: Path,
    to_format: str,
    from_format: str | None,
    copy_images: bool,
    assignments: tuple[str, ...],
    overwrite: bool,
) -> None:
    """Convert annotations between COCO, labelme, YOLO, Pascal VOC, ImageJ and napari.

    IN may also be a run folder: its tracks, or detections. Else IN and OUT are files or folders, as
    the format has it; 'defectscope plugins list' names the
    formats that are installed, and 'plugins info' tells what each holds.
    """
    from defectscope.core.errors import UsageError
    from defectscope.pipeline.converting import open_dataset, refuse_existing, save_dataset
    from defectscope.pipeline.labels import detect_format
    from defectscope.pipeline.run_labels import is_run

    host = current_host(context)
    host.find("formats", to_format)
    of_run = from_format is None and is_run(source)
    from_format = "run" if of_run else from_format or detect_format(source, host)
    options = _options(assignments, from_format, to_format, of_run)
    if copy_images:
        written = host.load_class(host.find("formats", to_format))
        if "copy_images" not in written.Options.model_fields:
            raise UsageError(
                f"the format {to_format!r} has no place for images; leave out --copy-images"
            )
        options[to_format] = {**options[to_format], "copy_images": True}
    refuse_existing(target, overwrite)
    dataset = open_dataset(
        source, None if of_run else from_format, options=options[from_format], host=host
    )
    for text in dataset.warnings:
        warn(text)
    written = {"options": options[to_format], "overwrite": overwrite, "host": host}
    for text in save_dataset(dataset, target, to_format, **written):
        warn(text)
    instances = sum(len(image.instances) for image in dataset.images)
    types = ", ".join(dataset.defect_types) or "none"
    say(
        f"{target}: {plural(len(dataset.images), 'image')}, {plural(instances, 'instance')}, "
        f"defect types: {types} (from {from_format} to {to_format})"
    )


def _options(
    assignments: tuple[str, ...], from_format: str, to_format: str, of_run: bool
) -> dict[str, dict[str, Any]]:
    from defectscope.core.errors import OptionError
    from defectscope.core.options import parse_assignment

    options: dict[str, dict[str, Any]] = {from_format: {}, to_format: {}}
    for assignment in assignments:
        name, option, value = parse_assignment(assignment)
        if of_run and name != to_format:
            raise OptionError(
                f"--set {assignment}: a run is read without options; this conversion has those of "
                f"{to_format!r}"
            )
        if name not in options:
            raise OptionError(
                f"--set {assignment}: this conversion uses {from_format!r} and {to_format!r}, "
                f"not {name!r}"
            )
        options[name][option] = value
    return options
