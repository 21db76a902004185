"""``defectscope train``: train or fine-tune a detector."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from defectscope.cli.common import (
    PATH,
    component_options,
    current_host,
    once,
    rename_option,
    say,
    shown_progress,
)
from defectscope.cli.completion import names_of
from defectscope.core.run_limits import DEVICES

__all__ = ["train"]


@click.command()
@click.argument("name", shell_complete=names_of("detectors"))
@click.argument("data", type=PATH, metavar="DATASET")
@once("--out", required=True, type=PATH, metavar="FILE.safetensors", help="Weights.")
@once(
    "--validation",
    type=PATH,
    metavar="DATASET",
    help="What the best state and its threshold are chosen on.",
)
@once("--init", metavar="FILE|NAME", help="Weights to start from.")
@once("--steps", type=click.IntRange(1), help="Optimiser steps.")
@once("--seed", type=click.IntRange(0), default=0, show_default=True)
@once("--title", default="", help="One line for the card of the weights.")
@rename_option
@component_options
@once("--device", type=click.Choice(DEVICES), default="cpu", show_default=True)
@once(
    "--threads",
    type=click.IntRange(0),
    default=0,
    help="Threads of the network; 0 leaves a core to each worker (default).",
)
@once(
    "--workers",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Processes that prepare batches.",
)
@click.option("--resume", is_flag=True, help="Go on with an interrupted training.")
@click.option("--overwrite", is_flag=True, help="Replace what is there.")
@click.pass_context
def train(context: click.Context, /, **given: Any) -> None:
    """Train the detector NAME on DATASET, and write its weights, ONNX twin, card and curves.

    DATASET is a labelled dataset, or a .toml recipe of generators whose frames are drawn on the
    fly. Names of recipes and options that come with weights, such as loops.toml and
    fine-tuning.toml, are known. Ctrl-C loses at most a minute: --resume goes on.

    \b
    Examples:
      defectscope train heatmap recipe.toml --steps 6000 --out loops.safetensors
      defectscope train heatmap labelled/ --init loops --config fine-tuning.toml
        --out mine.safetensors
    """
    from defectscope.core.training import is_follower
    from defectscope.pipeline.choices import gather_options, make_choices, read_config
    from defectscope.pipeline.renaming import parse_renames
    from defectscope.pipeline.shipped_recipes import shipped_recipe
    from defectscope.pipeline.training import train as start

    registered = current_host(context).weights()
    for name in ("data", "validation", "config"):
        if given[name] is not None:
            given[name] = shipped_recipe(given[name], registered)
    given["rename"] = parse_renames(given["rename"])
    options = gather_options(given.pop("assignments"), read_config(given.pop("config")))
    (choice,) = make_choices([given.pop("name")], options)
    out: Path = given.pop("out")
    with shown_progress() as progress:
        files = start(
            choice.name, given.pop("data"), out, options=choice.options,
            host=current_host(context), progress=progress, say=say, **given,
        )  # fmt: skip
    if is_follower():
        return
    for kind, scores in files.card.scores.items():
        say(f"{kind}: " + ", ".join(f"{name} {value}" for name, value in scores.items()))
    say(f"weights are in {out}, threshold {files.card.threshold:g}")
