"""``defectscope run``: the main job."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from defectscope.cli.common import (
    PATH,
    calibration_options,
    calibration_values,
    component_options,
    current_host,
    frames_option,
    once,
    plural,
    roi_option,
    say,
    shown_progress,
    warn,
)
from defectscope.cli.completion import names_of
from defectscope.cli.unused import check_analysis_options, check_run
from defectscope.core.run_limits import DEVICES, LEAST, TABLE_FORMATS

if TYPE_CHECKING:
    from defectscope.pipeline.api import Pipeline
    from defectscope.pipeline.results import Result
    from defectscope.plugins.host import PluginHost

__all__ = ["run"]


@click.command()
@click.argument("inputs", nargs=-1, type=PATH, metavar="INPUT...")
@once(
    "--watch",
    type=PATH,
    metavar="FOLDER",
    help="In place of INPUT: work on frames as they are written into this folder, until Ctrl-C.",
)
@once(
    "--idle",
    type=click.FloatRange(0, min_open=True),
    metavar="S",
    help="With --watch: end when no frame has come for so long.",
)
@once(
    "--detector",
    default="defectscope/heatmap",
    show_default=True,
    metavar="NAME",
    help="Detector: NAME or ALIAS=NAME.",
    shell_complete=names_of("detectors"),
)
@click.option(
    "--post",
    multiple=True,
    metavar="NAME",
    help="Post-processor; may be repeated, they work in this order.",
    shell_complete=names_of("postprocessors"),
)
@once(
    "--tracker",
    metavar="NAME",
    help="Tracker that links detections through time.",
    shell_complete=names_of("trackers"),
)
@once("--out", required=True, type=PATH, metavar="DIR", help="Folder for the results.")
@component_options
@frames_option
@roi_option
@click.option(
    "--mask",
    "masks",
    multiple=True,
    metavar="X0,Y0,X1,Y1|FILE",
    help="Drop what is found in this part, px, or where an image of the frames' size is not 0; "
    "may be repeated.",
)
@once(
    "--vote",
    metavar="K/N",
    help="Keep what is found in K of N neighbouring frames, and fill gaps between.",
)
@click.option(
    "--register",
    is_flag=True,
    help="Find how far each frame has moved, before anything else; tables keep the frames' own "
    "coordinates.",
)
@once(
    "--jump-px",
    type=click.FloatRange(0, min_open=True),
    default=5.0,
    show_default=True,
    help="With --register: a longer step between two frames is marked as a jump, px.",
)
@calibration_options
@once("--device", type=click.Choice(DEVICES), default="cpu", show_default=True)
@once(
    "--threads",
    type=click.IntRange(LEAST["threads"]),
    default=0,
    help="Threads of each worker; 0 shares the cores among them (default).",
)
@once(
    "--batch-size",
    type=click.IntRange(LEAST["batch_size"]),
    default=1,
    show_default=True,
    help="Frames handed to the detector at once.",
)
@once(
    "--workers",
    type=click.IntRange(LEAST["workers"]),
    default=0,
    help="Processes that work on frames; 0 starts others where a series is long enough (default).",
)
@once("--dask", metavar="ADDRESS", help="Work on the Dask cluster of this scheduler.")
@once(
    "--format",
    "table_format",
    type=click.Choice(TABLE_FORMATS),
    default="parquet",
    show_default=True,
    help="Format of the large tables.",
)
@click.option("--no-overlay", is_flag=True, help="Write no overlay video, and no stills of it.")
@click.option(
    "--no-figures",
    is_flag=True,
    help="Do no analyses, and so write none of their figures; stills are part of the overlay.",
)
@click.option(
    "--mixed-sizes", is_flag=True, help="Take frames of different sizes as unrelated images."
)
@click.option("--resume", is_flag=True, help="Go on with an interrupted run of the same command.")
@click.option("--overwrite", is_flag=True, help="Replace a former run in --out.")
@click.option("--strict", is_flag=True, help="Stop at a damaged frame instead of skipping it.")
@click.pass_context
def run(context: click.Context, /, **given: Any) -> None:
    """Find, measure and follow defects in images, folders, stacks or videos.

    The results are tables, figures and an overlay video in the folder --out.

    \b
    Example:
      defectscope run video.mp4 --detector dark-blobs --post watershed-ellipse
        --tracker trackpy --pixel-size 0.372 --frame-interval 1.75 --out results
    """
    from defectscope.core.errors import UsageError

    if given["resume"] and given["overwrite"]:
        raise UsageError("--resume goes on with a run and --overwrite deletes it; give one of them")
    check_run(context)
    pipeline, of_readers = _composed(current_host(context), given)
    if (given["watch"] is None) == (not given["inputs"]):
        raise UsageError("name the INPUT to run on, or a folder to --watch, and not both")
    if given["resume"]:
        _put_back(given["out"])
    if given["watch"] is None:
        _run_on_inputs(pipeline, of_readers, given)
        return
    if of_readers:
        raise UsageError(
            f"--watch reads one image a file; leave out the options of {next(iter(of_readers))}"
        )
    with _resumable(given["out"]):
        result, said = _watched(pipeline, given)
    _end(result, said)


def _composed(
    host: PluginHost, given: Mapping[str, Any]
) -> tuple[Pipeline, dict[str, dict[str, Any]]]:
    """Return the pipeline that was asked for, and the options of readers."""
    from defectscope.pipeline.api import Pipeline
    from defectscope.pipeline.choices import Choice, gather_options, read_config
    from defectscope.pipeline.reader_options import split_options

    named = [given["detector"], *given["post"], *filter(None, [given["tracker"]])]
    chosen = [Choice.parse(text) for text in named]
    called = {name for choice in chosen for name in (choice.name, choice.alias)}
    of_readers, options = split_options(
        gather_options(given["assignments"], read_config(given["config"])), host, called
    )
    pipeline = Pipeline(
        given["detector"],
        given["post"],
        given["tracker"],
        options=options,
        device=given["device"],
        threads=given["threads"],
        batch_size=given["batch_size"],
        host=host,
    )
    if given["no_figures"]:
        # A file of options may be for several commands.
        check_analysis_options(gather_options(given["assignments"], {}), {*called, *of_readers})
    return pipeline, of_readers


def _run_on_inputs(
    pipeline: Pipeline, of_readers: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any]
) -> None:
    """Read what was named, with the options of its readers, and run the pipeline on it."""
    from defectscope.pipeline.api import open_frames
    from defectscope.pipeline.input_notes import still_true
    from defectscope.pipeline.run_info import is_complete

    frames = open_frames(
        given["inputs"],
        frames=given["frames"],
        calibration=given["calibration"],
        options=of_readers,
        host=pipeline.host,
        **calibration_values(given),
    )
    said = still_true(frames.warnings, frames.calibration, unrelated=given["mixed_sizes"])
    said = list(dict.fromkeys(said))
    for text in said:
        warn(text)
    complete = given["resume"] and is_complete(given["out"])
    with _resumable(given["out"]), shown_progress() as progress:
        result = pipeline.run(frames, given["out"], progress=progress, **_settings(given))
    _end(result, said, complete)


def _put_back(folder: Path) -> None:
    """Go on with the run that was to be replaced, where the new one was killed at its start."""
    from defectscope.pipeline.runfolder import RunFolder

    if RunFolder(folder).settle():
        say(
            f"the former run in {folder} is back, because the one that was to replace it was ended "
            "before its first frame; --overwrite in place of --resume replaces it"
        )


def _end(result: Result, said: Collection[str], complete: bool = False) -> None:
    """Say what has not been said before, and what came out."""
    for text in result.warnings:
        if text not in said:
            warn(text)
    if complete:
        say(f"the run in {result.folder} is already complete; nothing was done")
    summarise(result)
    if complete and (bad := int((result.frames["status"] != "ok").sum())):
        warn(
            f"--resume does not try {plural(bad, 'damaged frame')} again; where the files are "
            "whole now, run again with --overwrite"
        )


def _watched(pipeline: Pipeline, given: dict[str, Any]) -> tuple[Result, list[str]]:
    """Watch a folder, and say every few seconds how far behind the tables are.

    Returns the run and the warnings that were said before.
    """
    from defectscope.core.calibration import Calibration
    from defectscope.pipeline.calibrating import merged_calibration, unknown_fractions

    notes: list[str] = []
    calibration = merged_calibration(
        Calibration(), given["calibration"], calibration_values(given), notes
    )
    notes += unknown_fractions(calibration, pipeline.host.defect_types())
    for text in notes:
        warn(text)
    say(f"watching {given['watch']}; Ctrl-C ends it")
    result = pipeline.watch(
        given["watch"],
        given["out"],
        calibration,
        idle_s=given["idle"],
        said=lambda lag: say(str(lag)),
        **_settings(given),
    )
    return result, notes


def _settings(given: Mapping[str, Any]) -> dict[str, Any]:
    names = ("roi", "masks", "vote", "workers", "dask", "resume", "overwrite", "strict",
             "mixed_sizes", "table_format")  # fmt: skip
    return {
        **{name: given[name] for name in names},
        "overlay": not given["no_overlay"],
        "figures": not given["no_figures"],
        "register": {"jump_px": given["jump_px"]} if given["register"] else None,
    }


@contextmanager
def _resumable(folder: Path) -> Iterator[None]:
    """Say what is left where a run is interrupted."""
    try:
        yield
    except KeyboardInterrupt as stop:
        # A run that has begun says itself what it leaves.
        said = getattr(stop, "__notes__", [])
        for note in said:
            say(note)
        if not said and folder.exists():
            say(f"nothing was done; what is in {folder} stays as it was")
        raise


def summarise(result: Result) -> None:
    """Say what came out: damaged frames, counts, sizes, tracks, and where it lies."""
    from defectscope.analysis.whole_sizes import with_whole_sizes

    frames, detections = result.frames, result.detections
    damaged = result.info["damaged_frames"]
    for text in damaged[:3]:
        warn(f"skipped: {text}")
    if len(damaged) > 3:
        warn(f"skipped {len(damaged) - 3} more damaged frames, named in run.json")
    bad = int((frames["status"] != "ok").sum())
    say(
        plural(len(frames) - bad, "frame")
        + (f" ({bad} damaged and skipped)" if bad else "")
        + f", {plural(len(detections), 'detection')}"
    )
    whole = with_whole_sizes(detections)  # as in the figures
    for name in ("diameter_nm", "diameter_px"):
        if name in whole and whole[name].notna().any():
            unit = name.rpartition("_")[2]
            medians = whole.groupby("defect_type")[name].median().dropna()
            of = {kind: f" of {kind}" if len(medians) > 1 else "" for kind in medians.index}
            texts = (f"{median:.2f} {unit}{of[kind]}" for kind, median in medians.items())
            say(f"median diameter {', '.join(texts)}")
            break
    if result.particles is not None:
        life = result.particles["lifetime_frames"]
        mean = f", mean lifetime {life.mean():.1f} frames" if len(life) else ""
        say(f"{plural(len(life), 'particle')}{mean}")
    say(f"results are in {result.folder}")
