"""One sample of a dataset drawn again from its parameters file."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from defectscope.core.errors import FormatError, OptionError, OutputError
from defectscope.core.files import contents
from defectscope.core.options import describe_options
from defectscope.pipeline.choices import Choice, make_choices
from defectscope.pipeline.generation import DatasetWriter
from defectscope.pipeline.labels import OWN_FORMAT, save_dataset
from defectscope.pipeline.samples import SampleMaker, SamplePlan, read_parameters

if TYPE_CHECKING:
    from defectscope.core.datasets import Dataset
    from defectscope.plugins.host import PluginHost

__all__ = ["draw_again"]

ANNOTATIONS = "annotations.json"


def draw_again(
    source: Path,
    out: Path,
    host: PluginHost,
    places: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    masks: bool = False,
) -> Dataset:
    """Draw the sample of a parameters file, and write it where it comes out the same.

    Parameters
    ----------
    source
        ``parameters/NUMBER.json`` of a dataset.
    out
        Dataset folder to write; nothing is left there where the pixels differ.
    host
        Where components are looked up.
    places
        Where files are now that the sample is drawn from: options by component.
    masks
        Also write a PNG mask of every instance.

    Raises
    ------
    FormatError
        The parameters cannot be read, or give other pixels here.
    OptionError
        An option of `places` is no path.
    OutputError
        There is something at `out`.
    """
    plan, number, digest = read_parameters(source)
    plan = _moved(plan, places or {}, host)
    if out.exists() and (not out.is_dir() or contents(out)):
        raise OutputError(f"{out} exists; choose another --out")
    made = not out.exists()
    not_closed: list[str] = []
    maker = SampleMaker(plan, host, not_closed)
    try:
        out.mkdir(parents=True, exist_ok=True)
        # The digest is known after the last frame, when all of them are on disk.
        with tempfile.TemporaryDirectory(prefix=".", dir=out) as name, maker:
            scratch = Path(name)
            sample = maker.sample(number)
            dataset = DatasetWriter(scratch, masks).write(sample)
            if sample.parameters["pixels_sha256"] != digest:
                reason = _reason(plan, source, sample.parameters, host)
                raise FormatError(
                    f"the sample of {source} comes out with other pixels here; {reason}"
                )
            save_dataset(dataset, scratch / ANNOTATIONS, OWN_FORMAT, host)
            # The truth comes last, and says that the rest is there.
            folders = ("images", "masks", "parameters") if masks else ("images", "parameters")
            for part in (*folders, ANNOTATIONS):
                (scratch / part).rename(out / part)
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror or error}") from error
    finally:
        if made:
            with suppress(OSError):
                out.rmdir()
    return replace(dataset, folder=out, warnings=(*dataset.warnings, *not_closed))


def _moved(
    plan: SamplePlan, places: Mapping[str, Mapping[str, Any]], host: PluginHost
) -> SamplePlan:
    """Return the same plan for files that lie elsewhere."""
    background, *generators = make_choices([plan.background, *plan.generators], places)
    moved = replace(plan, background=background, generators=tuple(generators))
    for family, choice in _components(moved):
        paths = _path_options(family, choice, host)
        given = (option for key in (choice.name, choice.alias) for option in places.get(key, {}))
        for option in given:
            if option not in paths:
                known = ", ".join(f"{choice.alias}.{path}" for path in paths) or "none here"
                raise OptionError(
                    "--from draws one sample again as it was, and --set may only say where its "
                    f"files are now ({known}); leave out {choice.alias}.{option}"
                )
    return moved


def _components(plan: SamplePlan) -> Iterator[tuple[str, Choice]]:
    yield "backgrounds", plan.background
    for choice in plan.generators:
        yield "generators", choice


def _path_options(family: str, choice: Choice, host: PluginHost) -> list[str]:
    model = host.load_class(host.find(family, choice.name)).Options
    return [row.name for row in describe_options(model) if "Path" in row.type.split(" | ")]


def _reason(plan: SamplePlan, source: Path, now: dict[str, Any], host: PluginHost) -> str:
    """Return why the pixels are others, as a clause."""
    then = json.loads(source.read_text(encoding="utf-8"))
    records = ([r.get("background"), *r.get("generators", ())] for r in (then, now))
    for (family, choice), before, after in zip(_components(plan), *records, strict=False):
        used = [name for name in _path_options(family, choice, host) if choice.options.get(name)]
        if used and _files(before) != _files(after):
            where = " and ".join(str(choice.options[name]) for name in used)
            how = " or ".join(f"--set {choice.alias}.{name}=PATH" for name in used)
            names = ", ".join(sorted({name for name, _ in _files(before)}))
            return f"the files at {where} are others than then ({names}); name those with {how}"
    before, after = then.get("versions", {}), now["versions"]
    drawn = [f"{name} {version}" for name, version in before.items() if after.get(name) != version]
    if drawn:
        here = ", ".join(f"{name} {version}" for name, version in after.items())
        return f"it was drawn with {', '.join(drawn)}, and this is {here}"
    return "other versions of numpy, OpenCV or a plugin are installed"


def _files(drawn: Any) -> set[tuple[str, str]]:
    """Return name and digest of each file that parameters tell of."""
    if isinstance(drawn, list | tuple):
        return {file for part in drawn for file in _files(part)}
    if not isinstance(drawn, Mapping):
        return set()
    named = {(str(drawn["file"]), str(drawn["sha256"]))} if {"file", "sha256"} <= set(drawn) else ()
    return _files(list(drawn.values())).union(named)
