"""Training by name: where labelled frames come from, and the call of the detector."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from defectscope.core.base import TrainableDetector
from defectscope.core.cores import available_cores
from defectscope.core.errors import (
    ComponentError,
    DefectscopeError,
    OptionError,
    OutputError,
    UsageError,
)
from defectscope.core.options import Options, validate_options
from defectscope.core.run_limits import DEVICES, one_of, whole_number
from defectscope.core.training import TrainingData, TrainingJob, is_follower
from defectscope.core.weights import WeightFiles, find_weights, refuse_foreign
from defectscope.pipeline.choices import expected_name
from defectscope.pipeline.given_values import expected_path, expected_table
from defectscope.pipeline.named import NamedComponent, guarded
from defectscope.pipeline.recipes import RecipeData
from defectscope.pipeline.renaming import check_renames, expected_renames
from defectscope.pipeline.said import only_warnings
from defectscope.pipeline.script_guard import expect_guard
from defectscope.pipeline.training_sets import DatasetData
from defectscope.plugins.host import PluginHost, default_host

__all__ = ["open_training_data", "train", "written_weights"]


def open_training_data(
    path: Path, host: PluginHost, rename: Mapping[str, str] | None = None
) -> TrainingData:
    """Return labelled frames: of a ``.toml`` recipe, drawn on the fly, or of a dataset.

    Parameters
    ----------
    path
        Of either.
    host
        Where formats, readers and generators are looked up.
    rename
        New names of a dataset's defect types; a recipe has a table of its own.

    Raises
    ------
    InputError, FormatError
        `path` cannot be read.
    """
    if path.suffix.lower() == ".toml" and not path.is_dir():
        return RecipeData.read(path, host)
    return DatasetData.read(path, host, rename)


def train(
    name: str,
    data: Path | str,
    out: Path | str,
    *,
    validation: Path | str | None = None,
    init: Path | str | None = None,
    steps: int | None = None,
    rename: Mapping[str, str] | None = None,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
    title: str = "",
    device: str = "cpu",
    threads: int = 0,
    workers: int = 0,
    resume: bool = False,
    overwrite: bool = False,
    host: PluginHost | None = None,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
    say: Callable[[str], None] | None = None,
) -> WeightFiles:
    """Train or fine-tune a detector.

    Parameters
    ----------
    name
        A trainable detector.
    data, validation
        Datasets, or ``.toml`` recipes from which frames are generated on the fly. Without
        `validation`, the best state and its threshold are chosen on other frames of the recipe,
        or on the dataset itself.
    out
        The ``.safetensors`` file; its ONNX twin, card and curves are written beside it.
    init
        Weights to start from: a registered name or a file.
    steps
        Optimiser steps; the detector's own number by default.
    rename
        New names of the datasets' defect types by old ones; those of one name become one.
    options
        Of training, see ``defectscope plugins info``.
    threads
        Of the network; 0 leaves one core to each worker. Other numbers round differently.
    workers
        Processes that prepare batches; with the same `threads`, not 0, the result does not depend
        on it. A script that asks for some needs the line ``if __name__ == "__main__":`` around what
        it does.
    seed
        Of everything random: the same gives the same weights.
    title
        One line for the card of the weights.
    device
        ``cpu`` or ``cuda``.
    resume, overwrite
        Go on with an interrupted training, or replace what is there.
    host
        Plugins to use; the installed ones by default.
    progress, say
        Called with (stage, done, total), and with a line about how training goes, such as `print`.
        Without `say`, the lines that warn come as Python's warnings.

    Raises
    ------
    UsageError
        The detector learns nothing, the file has another suffix, or a setting is not as it must be.
    OutputError
        `out` exists, or a file beside it that is not of former weights would be lost.
    """
    host = host or default_host()
    say = say or only_warnings
    device, seed = one_of("device", device, DEVICES), whole_number("seed", seed)
    threads, workers = whole_number("threads", threads), whole_number("workers", workers)
    steps = None if steps is None else whole_number("steps", steps)
    rename, options = expected_renames(rename), expected_table(options)
    data, out = expected_path(data), expected_path(out)
    validation = None if validation is None else expected_path(validation)
    if out.suffix != ".safetensors":
        raise UsageError(f"--out must be a .safetensors file, found {out.name}")
    expect_guard()
    if resume and overwrite:
        raise UsageError("--resume goes on with a training and --overwrite deletes it; choose one")
    started = out.with_name(f"{out.stem}.training").exists()
    # What lies there is of the process that started this one.
    follows = is_follower()
    if follows:
        progress, say = (lambda stage, done, total: None), (lambda text: None)
    if not (resume or overwrite or follows) and (out.exists() or started):
        raise OutputError(
            f"{out if out.exists() else out.with_name(f'{out.stem}.training')} exists; go on with "
            "--resume, replace it with --overwrite, or choose another --out"
        )
    if not follows:
        inputs = [path for path in (data, validation) if path is not None]
        refuse_foreign(out, resume or overwrite, inputs)
    named, training_options = _trainable(host, name)
    chosen = validate_options(training_options, options, name)
    runtime = host.runtime(device=device, threads=threads or _threads(workers))
    training, held_out = _opened(data, validation, host, rename, say)
    job = TrainingJob(
        training, out, chosen, held_out,
        None if init is None else find_weights(str(init), host.weights()),
        steps, seed, workers, resume, title, progress, say,
    )  # fmt: skip
    component = host.build("detectors", name, runtime=runtime)
    return _trained(named, component, job, started or follows)


def _trained(
    named: NamedComponent, component: TrainableDetector, job: TrainingJob, interrupted: bool
) -> WeightFiles:
    """Do the training, or what is left of an `interrupted` one; nothing of a complete one is."""
    complete = guarded(named, "before it trained", component.before_training, job)
    if complete is not None:
        files = _weight_files(named, "before it trained", job.out, complete, "WeightFiles or None")
        job.say(f"the training of {job.out} is already complete")
        return files
    if job.resume and job.out.exists() and not interrupted:
        raise OutputError(
            f"{job.out} holds the weights of another training, and nothing of an interrupted one "
            "is beside it; choose another --out, or replace it with --overwrite"
        )
    return written_weights(named, "while it trained", job.out, component.train, job)


def written_weights(
    named: NamedComponent, where: str, out: Path, call: Callable[..., Any], *arguments: Any
) -> WeightFiles:
    """Return the weights that a detector writes where it is called.

    Parameters
    ----------
    named
        The detector.
    where
        Such as ``while it trained``.
    out
        The file that it was asked for.
    call
        What to call, with `arguments`.

    Raises
    ------
    ComponentError
        It raised, returned something else, or wrote other weights than its own to `out`; names it.
    """
    return _weight_files(named, where, out, guarded(named, where, call, *arguments), "WeightFiles")


def _weight_files(
    named: NamedComponent, where: str, out: Path, found: object, expected: str
) -> WeightFiles:
    if not isinstance(found, WeightFiles):
        raise ComponentError(
            f"{named.describe()} must return {expected}, found {type(found).__name__} {where}"
        )
    elsewhere = found.tensors.resolve() != out.resolve()
    # Of several processes that train together one writes.
    if elsewhere or not (out.is_file() or is_follower()):
        wrote = str(found.tensors) if elsewhere else "no such file"
        raise ComponentError(f"{named.describe()} must write {out} {where}, found {wrote}")
    name = named.alias.rpartition("/")[2]
    # Who is derived from another detector may share its weights under that one's name.
    if found.card.detector not in (name, getattr(named.component, "name", name)):
        raise ComponentError(
            f"{named.describe()} must write a card of the detector {name!r} {where}, found one of "
            f"{found.card.detector!r}"
        )
    return found


def _trainable(host: PluginHost, name: str) -> tuple[NamedComponent, type[Options]]:
    """Return a detector that can be trained, and the options of its training."""
    named = NamedComponent.of_class(host, "detectors", expected_name(name))
    detector = named.component
    if not issubclass(detector, TrainableDetector):
        raise UsageError(
            f"the detector {name!r} learns nothing: it has no training; these have: "
            f"{_names_that_learn(host)}"
        )
    return named, detector.TrainingOptions


def _opened(
    data: Path,
    validation: Path | None,
    host: PluginHost,
    rename: Mapping[str, str],
    say: Callable[[str], None],
) -> tuple[TrainingData, TrainingData | None]:
    """Return what is learned from and what is held out, and say what is to be said of both."""
    training = open_training_data(data, host, rename)
    held_out = None if validation is None else open_training_data(validation, host, rename)
    sources = [source for source in (training, held_out) if source is not None]
    _check_rename(rename, sources)
    for source in sources:
        notes = source.notes() if isinstance(source, DatasetData) else []
        for text in (*source.warnings, *notes):
            say(f"warning: {source.title}: {text}")
    if held_out is not None and set(held_out.defect_types) - set(training.defect_types):
        raise OptionError(
            f"the validation data has the defect types {', '.join(held_out.defect_types)}, the "
            f"training data {', '.join(training.defect_types)}; they must be the same"
        )
    return training, held_out


def _names_that_learn(host: PluginHost) -> str:
    """Return the names of the detectors that can be trained."""
    names = []
    for entry in host.registered("detectors"):
        with suppress(DefectscopeError):  # one that cannot be loaded learns nothing
            if issubclass(host.load_class(entry), TrainableDetector):
                names.append(entry.name)
    return ", ".join(sorted(names)) or "none"


def _check_rename(rename: Mapping[str, str], sources: Sequence[TrainingData]) -> None:
    datasets = [source for source in sources if isinstance(source, DatasetData)]
    if rename and not datasets:
        raise UsageError("--rename is for datasets; a recipe has a table [rename]")
    check_renames(rename, {name for source in datasets for name in source.named})


def _threads(workers: int) -> int:
    return max(1, available_cores() - workers)
