"""``defectscope fit``: distributions of labelled data, for generators to draw from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from defectscope.cli.common import PATH, current_host, once, rename_option, say, show_json, warn

if TYPE_CHECKING:
    from defectscope.generators.loop_sizes import LoopSizes
    from defectscope.generators.microstructure import Continuous, Discrete, Microstructure

__all__ = ["fit"]

JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Also write it to stdout.")
OVERWRITE_OPTION = click.option("--overwrite", is_flag=True, help="Replace FILE where it exists.")


@click.group()
def fit() -> None:
    """Fit what generators draw to labelled images."""


@fit.command()
@click.argument("labels", type=PATH)
@once("--out", required=True, type=PATH, metavar="FILE.json", help="Where it goes.")
@once("--label", metavar="NAME", help="Only lines with this label.")
@once(
    "--trace-label",
    default="slip-trace",
    show_default=True,
    metavar="NAME",
    help="Lines with this label are slip traces, left out unless --label names them.",
)
@once("--title", metavar="TEXT", help="What to call it; the name of LABELS by default.")
@OVERWRITE_OPTION
@JSON_OPTION
def microstructure(
    labels: Path,
    out: Path,
    label: str | None,
    trace_label: str,
    title: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Fit the microstructure of dislocations to LABELS, a labelme file or a folder of them.

    Pile-ups are lines with one group_id, or, where no line has any, those that run between the
    same two slip traces. Other formats become labelme files with 'defectscope convert'.

    \b
    Example:
      defectscope fit microstructure labels/ --out m1.json
      defectscope generate dislocations --set dislocations.microstructure=m1.json --out data
    """
    from defectscope.generators.microstructure_fit import fit_microstructure

    _check_target(out, (".json",), overwrite)
    fitted = fit_microstructure(labels, label, title, trace_label)
    fitted.save(out)
    _tell(fitted.model_dump(mode="json"), as_json)
    say(f"{out}: microstructure {fitted.title!r}, {fitted.source}")
    _show(("feature", "least", "median", "largest"), _microstructure_rows(fitted))
    say(f"draw it with: --set dislocations.microstructure={out}")


@fit.command("loop-sizes")
@click.argument("dataset", type=PATH)
@once("--out", required=True, type=PATH, metavar="FILE", help="Where it goes: .json or .toml.")
@once(
    "--label-inset",
    "label_inset_px",
    type=click.FloatRange(0, 1000),
    default=0.0,
    show_default=True,
    metavar="PX",
    help="How far boxes lie inside the loops' edges on each side; not used for ellipses.",
)
@rename_option
@once("--from", "format_name", metavar="FORMAT", help="Format, where it is not recognised.")
@OVERWRITE_OPTION
@JSON_OPTION
@click.pass_context
def loop_sizes(
    context: click.Context,
    dataset: Path,
    out: Path,
    label_inset_px: float,
    rename: tuple[str, ...],
    format_name: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Fit sizes, aspect ratios and densities of loops to DATASET, of any annotation format.

    \b
    Example:
      defectscope fit loop-sizes labels/ --out sizes.json
      defectscope generate loops --set loops.sizes=sizes.json --out data
    """
    from defectscope.generators.loop_sizes import LOOP_TYPES, fit_loop_sizes, label_numbers
    from defectscope.pipeline.labels import open_dataset
    from defectscope.pipeline.renaming import (
        check_renames,
        names_in,
        parse_renames,
        renamed_dataset,
    )

    _check_target(out, (".json", ".toml"), overwrite)
    names = parse_renames(rename)
    labelled = open_dataset(dataset, current_host(context), format_name)
    check_renames(names, names_in(labelled))
    labelled = renamed_dataset(labelled, names)
    for text in labelled.warnings:
        warn(text)
    fitted = fit_loop_sizes(labelled, label_inset_px)
    others = {n: k for n, k in label_numbers(labelled).items() if n not in LOOP_TYPES}
    if others:
        warn(
            "labels of types that loops does not draw are left out: "
            f"{', '.join(f'{number} of {name!r}' for name, number in others.items())}; its types "
            f"are {', '.join(LOOP_TYPES)}, and --rename gives labels another name"
        )
    fitted.save(out)
    _tell(fitted.model_dump(mode="json"), as_json)
    say(f"{out}: loop sizes, {fitted.source}")
    _show(("loops", "quantity", "least", "median", "largest"), _loop_rows(fitted))
    say(f"draw it with: --set loops.sizes={out}")


def _check_target(out: Path, suffixes: Sequence[str], overwrite: bool) -> None:
    """Refuse what cannot be written before anything is measured."""
    from defectscope.core.errors import OutputError, UsageError

    if out.suffix.lower() not in suffixes:
        raise UsageError(f"--out must end in {' or '.join(suffixes)}, found {out.name!r}")
    if out.is_dir():
        raise OutputError(f"--out must be a file, but {out} is a folder")
    if out.exists() and not overwrite:
        raise OutputError(f"{out} exists; choose another name, or replace it with --overwrite")


def _tell(document: Any, as_json: bool) -> None:
    if as_json:
        show_json(document)


def _show(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Show a table on stderr: the data is in the file."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for name in header:
        numeric = name in ("least", "median", "largest")
        table.add_column(name, justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    Console(stderr=True, soft_wrap=True, markup=False, highlight=False).print(table)


def _microstructure_rows(fitted: Microstructure) -> list[tuple[str, ...]]:
    return [
        ("pile-ups in an image", *_counted(fitted.pileups)),
        ("dislocations in a pile-up", *_counted(fitted.dislocations)),
        (f"slip width (px of {fitted.reference_px:g})", *_spread(fitted.slip_width_px)),
        ("slip direction (deg)", *_spread(fitted.direction_deg)),
        (f"spacing (px of {fitted.reference_px:g})", *_spread(fitted.spacing_px)),
        ("lean / slip width", *_spread(fitted.lean)),
        ("bow / slip width", *_spread(fitted.bow)),
    ]


def _counted(numbers: Discrete) -> tuple[str, ...]:
    import numpy as np

    order = np.argsort(numbers.values)
    values, weights = np.array(numbers.values)[order], np.array(numbers.weights)[order]
    middle = values[int(np.searchsorted(np.cumsum(weights), weights.sum() / 2))]
    return tuple(str(int(value)) for value in (values[0], middle, values[-1]))


def _spread(distribution: Continuous) -> tuple[str, ...]:
    return _of_quantiles(distribution.quantiles)


def _of_quantiles(quantiles: Sequence[float]) -> tuple[str, ...]:
    import numpy as np

    return tuple(f"{value:.3g}" for value in (quantiles[0], np.median(quantiles), quantiles[-1]))


def _loop_rows(fitted: LoopSizes) -> list[tuple[str, ...]]:
    return [
        (name if number == 0 else "", quantity, *_of_quantiles(values))
        for name, sizes in fitted.types.items()
        for number, (quantity, values) in enumerate(
            (
                ("major axis (px)", sizes.major_px),
                ("minor / major axis", sizes.aspect),
                ("number in 1 000 000 px", sizes.per_megapixel),
            )
        )
    ]
