"""What the training of ``unetpp`` takes from the weights it starts from; needs no torch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from defectscope import OptionError, WeightFiles
from defectscope.core.options import set_in_vain
from defectscope.detectors.learning.cards import read_architecture
from defectscope.detectors.unetpp.architecture import ENCODER_STRIDE, Architecture

if TYPE_CHECKING:
    from defectscope import TrainingJob
    from defectscope.detectors.unetpp.options import UnetppTrainingOptions

__all__ = ["completed"]


def completed(job: TrainingJob) -> TrainingJob:
    """Return a job whose options fit the weights to start from, as far as they were left out.

    Raises
    ------
    OptionError
        Crops of the side that was asked for cannot be learned, or an option would change nothing.
    FormatError
        The card of these weights describes no such network.
    """
    options: UnetppTrainingOptions = job.options
    if job.init is None:
        _expect_fitting(options, options.reduce, options.places)
        return job
    known = read_architecture(WeightFiles.open(job.init, "unetpp"), Architecture)
    theirs = {"crop_px": known.tile_px, "masks": known.masks}
    left_out = {name: theirs[name] for name in theirs.keys() - options.model_fields_set}
    options = options.model_copy(update=left_out)
    if known.places and options.crop_px != known.tile_px:
        raise OptionError(
            f"crop_px = {options.crop_px} does not fit {job.init}, whose outputs have places in "
            f"tiles of {known.tile_px} px; leave it out, or leave out --init"
        )
    _expect_fitting(options, known.reduce, known.places)
    return replace(job, options=options)


def _expect_fitting(options: UnetppTrainingOptions, reduce: int, places: bool) -> None:
    """Refuse options that do not fit the network, which weights to start from may decide about."""
    multiple_px = ENCODER_STRIDE * reduce
    if options.crop_px % multiple_px:
        raise OptionError(
            f"crop_px = {options.crop_px} must be a multiple of {multiple_px} "
            f"with reduce = {reduce}"
        )
    name = set_in_vain(options, "place_weight", "middle_weight")
    if name and not places:
        raise OptionError(
            f"{name} is of outputs with places alone, and these have none; leave it out, or train "
            "others with places = true"
        )
