"""The interface for notebooks and scripts; the command line is a thin layer over it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from defectscope.core.base import Component, Runtime
from defectscope.core.calibration import Calibration
from defectscope.core.cores import available_cores
from defectscope.core.errors import InputError, UsageError
from defectscope.core.frames import Frame, FrameSequence
from defectscope.core.options import changed_options
from defectscope.core.provenance import input_digests
from defectscope.core.run_limits import DEVICES, one_of, whole_number
from defectscope.pipeline.calibrating import given_calibration, unknown_fractions, without_laws
from defectscope.pipeline.choices import Choice, make_choices
from defectscope.pipeline.evaluation import evaluate
from defectscope.pipeline.given_frames import GivenFrames, given_digests
from defectscope.pipeline.given_values import expected_path, expected_tables, several
from defectscope.pipeline.helping import helper_count
from defectscope.pipeline.lag import Lag
from defectscope.pipeline.lanes import lane_count
from defectscope.pipeline.masking import masked_parts
from defectscope.pipeline.named import NamedComponent, guarded, reported_types
from defectscope.pipeline.opening import open_frames
from defectscope.pipeline.registering import chosen_registration
from defectscope.pipeline.results import Result
from defectscope.pipeline.run_owner import RunOwner
from defectscope.pipeline.run_status import GOING_ON, said_of_incomplete
from defectscope.pipeline.runfolder import RunFolder
from defectscope.pipeline.said import only_warnings
from defectscope.pipeline.script_guard import expect_guard, expect_importable, main_file
from defectscope.pipeline.session import Progress, RunSettings, Session
from defectscope.pipeline.time_tables import DOSE_RATE
from defectscope.pipeline.unasked_analyses import unasked_analyses
from defectscope.pipeline.watched import WatchedFolder
from defectscope.pipeline.watching import WatchSession
from defectscope.plugins.host import PluginHost, default_host

__all__ = ["Pipeline", "evaluate", "load_run", "open_frames"]


class Pipeline:
    """Components by name, ready to run on any series.

    Parameters
    ----------
    detector
        ``NAME``, ``distribution/NAME`` or ``ALIAS=NAME``.
    post
        One post-processor, or several in the order of their work.
    tracker
        Links detections through time, if given.
    analyses
        Analyses by name; None means every installed one.
    options
        Options of the components, by name or alias.
    device
        ``cpu`` or ``cuda``.
    threads
        Threads that each component may use; 0 shares the cores among those that work at a time.
    batch_size
        Frames handed to the detector at once.
    host
        Plugins to use; the installed ones by default.

    Raises
    ------
    UnknownNameError, OptionError, PluginError
        As names and options deserve, before any frame is read.

    Examples
    --------
    >>> import defectscope as ds
    >>> pipeline = ds.Pipeline("dark-blobs", ["watershed-ellipse"],
    ...                        options={"dark-blobs": {"min_area_px": 60}})
    >>> result = pipeline.run(ds.open("video.tif", pixel_size_nm=0.37))  # doctest: +SKIP
    >>> result.detections[["frame", "x", "y", "diameter_nm"]]  # doctest: +SKIP
    """

    def __init__(
        self,
        detector: str | Choice = "defectscope/heatmap",
        post: str | Choice | Sequence[str | Choice] = (),
        tracker: str | Choice | None = None,
        analyses: str | Choice | Sequence[str | Choice] | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        device: str = "cpu",
        threads: int = 0,
        batch_size: int = 1,
        host: PluginHost | None = None,
    ) -> None:
        self.host = host or default_host()
        self.device = one_of("device", device, DEVICES)
        self.threads = whole_number("threads", threads)
        self.batch_size = whole_number("batch_size", batch_size)
        self.warnings: list[str] = []
        self._unasked = analyses is None
        options = expected_tables(options)
        named = [("detectors", detector), *(("postprocessors", name) for name in several(post))]
        named += [("trackers", tracker)] if tracker is not None else []
        if analyses is None:
            taken = {_parsed(name).alias for _, name in named}
            analyses, self.warnings = unasked_analyses(self.host, options, taken)
        named += [("analyses", name) for name in several(analyses)]
        choices = make_choices([name for _, name in named], options)
        self.choices = [
            (family, choice) for (family, _), choice in zip(named, choices, strict=True)
        ]
        self._build(self._runtime(1))  # so that a wrong name or option shows at once

    def __repr__(self) -> str:
        names = [choice.alias for family, choice in self.choices if family != "analyses"]
        analyses = len(self.choices) - len(names)
        return f"<Pipeline: {', '.join(names)}; {analyses} analyses>"

    def _runtime(self, at_a_time: int) -> Runtime:
        threads = self.threads or max(1, available_cores() // at_a_time)
        return self.host.runtime(device=self.device, threads=threads, batch_size=self.batch_size)

    def _build(self, runtime: Runtime) -> dict[str, list[NamedComponent]]:
        built: dict[str, list[NamedComponent]] = {}
        for family, choice in self.choices:
            named = NamedComponent.build(self.host, family, choice, runtime)
            if family == "analyses" and self._unasked and not choice.options:
                named = replace(named, optional=True)
            built.setdefault(family, []).append(named)
        return built

    def _plan(
        self,
        frames: FrameSequence,
        settings: RunSettings,
        built: Mapping[str, Sequence[NamedComponent]],
        progress: Progress,
    ) -> dict[str, Any]:
        """Return what decides about the numbers of a run: its part of ``run.json``."""
        paths, registration = frames.paths, chosen_registration(settings.register)
        digests = input_digests(paths, lambda done: progress("check input", done, len(paths)))
        return {
            "components": [
                {
                    "family": family,
                    "name": choice.name,
                    "alias": choice.alias,
                    "distribution": self.host.find(family, choice.name).plugin.distribution,
                    "version": self.host.find(family, choice.name).plugin.version,
                    **_recorded(built, family, choice.alias),
                }
                for family, choice in self.choices
            ],
            "calibration": frames.calibration.model_dump(),
            "frames": [len(frames), *(f(frames.indices) for f in (min, max) if len(frames))],
            "roi": list(settings.roi) if settings.roi else None,
            "masks": settings.masks.record(),
            "vote": None if settings.vote is None else str(settings.vote),
            "register": None if registration is None else asdict(registration),
            "table_format": settings.table_format,
            "readers": {name: dict(given) for name, given in frames.reader_options.items()},
            "read_by": dict(frames.read_by),
            "inputs": digests | given_digests(frames),
        }

    def run(
        self,
        frames: FrameSequence | Sequence[Frame],
        out: str | Path | None = None,
        *,
        progress: Progress | None = None,
        masks: Any = (),
        **settings: Any,
    ) -> Result:
        """Run on a series, and return its tables.

        Parameters
        ----------
        frames
            From :func:`defectscope.open`, or a list of :class:`Frame`. A sequence of your own
            without `paths` is not read twice: on resume it is taken to be the same as before.
        out
            Run folder; a temporary one that lives as long as the result by default.
        progress
            Called with (stage, done, total).
        masks
            Parts of the frames in which detections are dropped: x_min, y_min, x_max, y_max in px
            of the original frame, half open; or an image file or (H, W) array, masked where not 0.
            One of these, or several.
        **settings
            Fields of :class:`defectscope.pipeline.settings.RunSettings`: ``roi``, ``vote``,
            ``register``, ``workers``, ``dask``, ``resume``, ``overwrite``, ``strict``,
            ``mixed_sizes``, ``overlay``, ``figures`` and ``table_format``. A script that asks
            for other than one worker needs the line ``if __name__ == "__main__":`` above what it
            does.

        Raises
        ------
        DefectscopeError
            What was finished before stays in the folder.
        """
        expect_guard()
        if not isinstance(frames, FrameSequence):
            frames = GivenFrames(frames)
        # Not those of `frames`: they are the caller's, and of every run on them.
        warnings = list(self.warnings)
        chosen = self._chosen(settings, masks, warnings)
        if chosen.mixed_sizes:
            frames = frames.calibrated(without_laws(frames.calibration, warnings))
        if out is not None:
            return self._session(frames, expected_path(out), chosen, progress, warnings).run()
        holder = tempfile.TemporaryDirectory()
        try:
            self._session(frames, Path(holder.name), chosen, progress, warnings).run()
            return Result(Path(holder.name), holder)
        except BaseException:
            holder.cleanup()
            raise

    def _chosen(self, settings: Mapping[str, Any], masks: Any, warnings: list[str]) -> RunSettings:
        chosen = RunSettings.given(settings, masked_parts(masks, self.host, warnings))
        chosen.check(tracked=any(family == "trackers" for family, _ in self.choices))
        return chosen

    def watch(
        self,
        folder: str | Path,
        out: str | Path,
        calibration: Calibration | Mapping[str, Any] | Path | str | None = None,
        *,
        idle_s: float | None = None,
        update_s: float = 10.0,
        said: Callable[[Lag], None] = lambda lag: None,
        progress: Progress | None = None,
        masks: Any = (),
        **settings: Any,
    ) -> Result:
        """Run on frames as they are written into a folder, and return the tables.

        Figures are drawn in another process: a script needs the line
        ``if __name__ == "__main__":`` above what it does.

        Parameters
        ----------
        folder
            Where frames are written, one image a file.
        out
            Run folder.
        calibration
            What is known about the scale, as for :func:`defectscope.open`; overrules what the first
            file says.
        idle_s
            It ends when nothing has come for so long, s; None goes on until Ctrl-C.
        update_s
            Tracks and figures are brought up to date no more often than this, s.
        said
            Called every five seconds with the :class:`defectscope.pipeline.lag.Lag`.
        progress, masks, **settings
            As for :meth:`run`; `resume` goes on with a folder that was watched before. Single
            fields of :class:`Calibration`, such as ``pixel_size_nm=0.372``, overrule `calibration`.

        Raises
        ------
        UsageError
            A setting, the folder, or a run to go on with is not as it must be.
        """
        expect_guard()
        known = [*Calibration.model_fields, DOSE_RATE]
        values = {name: settings.pop(name) for name in known if name in settings}
        # What is to be said of it is said where it meets that of the first file.
        given = given_calibration(Calibration(), calibration, values)
        frames = WatchedFolder(expected_path(folder), self.host, given)
        frames.warnings += unknown_fractions(given, self.host.defect_types())
        warnings = list(self.warnings)
        chosen = self._chosen(settings, masks, warnings)
        if chosen.workers > 1 or chosen.dask is not None:
            raise UsageError("--watch works in one process; leave out --workers and --dask")
        if self.batch_size > 1:
            raise UsageError("--watch takes frames one by one; leave out --batch-size")
        frames.unrelated = chosen.mixed_sizes
        frames.in_order = chosen.vote is not None or chosen.register is not None
        parts = vars(self._session(frames, expected_path(out), chosen, progress, warnings))
        kept = {name: parts[name] for name in Session.__match_args__ if not name.startswith("_")}
        lanes = lane_count(self.threads, self.device)
        return WatchSession(
            **{**kept, "lanes": lanes}, watched=frames, idle_s=idle_s, update_s=update_s, said=said
        ).run()

    def _session(
        self,
        frames: FrameSequence,
        folder: Path,
        chosen: RunSettings,
        progress: Progress | None,
        warnings: list[str],
    ) -> Session:
        lanes = 1
        if chosen.workers <= 1 and chosen.dask is None and len(frames) > self.batch_size:
            lanes = lane_count(self.threads, self.device)
        helpers = self._helpers(frames, chosen)
        runtime = self._runtime(max(chosen.workers, lanes, helpers + 1))
        built = self._build(runtime)
        self._check_types(built, warnings)
        if chosen.workers > 1 or chosen.dask is not None:
            handed = [*built["detectors"], *built.get("postprocessors", [])]
            expect_importable(handed, frames, spawned=chosen.workers > 1)
        show = progress or (lambda stage, done, total: None)
        named = [component for family in built.values() for component in family]
        if self.device != "cpu" and not any(n.component.uses_device for n in named):
            text = f"no component of this pipeline can work on {self.device}; the CPU is used"
            warnings.append(text)
        into = RunFolder(folder)
        return Session(
            frames,
            built["detectors"][0],
            built.get("postprocessors", []),
            next(iter(built.get("trackers", [])), None),
            built.get("analyses", []),
            self._plan(frames, chosen, built, show),
            into,
            chosen,
            runtime,
            into.owner.kept_by(show),
            lanes,
            helpers,
            warnings,
        )

    def _helpers(self, frames: FrameSequence, chosen: RunSettings) -> int:
        # Frames that lie in memory would be there twice, and what stands in a notebook is nowhere
        # else; nobody asked for helpers by number.
        if chosen.workers or chosen.dask is not None or not frames.paths or main_file() is None:
            return 0
        return helper_count(len(frames) // self.batch_size, self.threads, self.device)

    def _check_types(
        self, built: Mapping[str, Sequence[NamedComponent]], warnings: list[str]
    ) -> None:
        """Refuse defect types of two meanings, and say which have none where that matters."""
        unknown = self.host.expect_types(reported_types(built["detectors"][0]))
        sized = [named.component.columns for named in built.get("postprocessors", [])]
        if any("major_px" in columns for columns in sized):
            warnings += [text for text in unknown if text not in warnings]


def _parsed(name: str | Choice) -> Choice:
    return name if isinstance(name, Choice) else Choice.parse(name)


def _recorded(
    built: Mapping[str, Sequence[NamedComponent]], family: str, alias: str
) -> dict[str, Any]:
    named = next(named for named in built[family] if named.alias == alias)
    component: Component = named.component
    options = component.options.model_dump(mode="json")
    record: dict[str, Any] = {"options": options}
    # Defaults may be others when the run is analysed.
    if changed := changed_options(component.options):
        record["changed"] = changed
    if getattr(component, "drops", False):
        record["drops"] = True
    if depends_on := guarded(named, "at the start", component.depends_on):
        record["depends_on"] = depends_on
    return record


def load_run(folder: str | Path | Result) -> Result:
    """Open a run folder; that of a result is read again.

    While a run goes on, its tables hold what is finished, up to 64 frames behind; a warning says
    how far that is, and whether anybody is at work on it still.

    Raises
    ------
    UsageError
        The folder holds no run.
    """
    if isinstance(folder, Result):
        result = folder.reloaded()
    else:
        result = Result(expected_path(folder, "a run folder, or what a pipeline returned"))
    if result.info.get("status") in GOING_ON:
        # A table that is not there yet is an error where it is asked for.
        with suppress(InputError):
            at_work = RunOwner(result.folder).is_at_work()
            for text in said_of_incomplete(Result(result.folder)):
                more = "load it again for more" if at_work else "nobody is at work on it any more"
                only_warnings(f"warning: {text}; {more}")
    return result
