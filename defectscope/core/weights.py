"""Weight files of trained components: a safetensors file, its ONNX twin, and a card.

Three files of one stem lie side by side: ``NAME.safetensors`` (for training), ``NAME.onnx`` (for
prediction) and ``NAME.json``, the card, which says what they are, how they were made, and holds
the digests of the other two. Nothing here can run code: a pickle is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from defectscope.core.errors import (
    DefectscopeError,
    FormatError,
    InputError,
    OutputError,
    PluginClashError,
    PluginLoadError,
    UnknownNameError,
    did_you_mean,
)
from defectscope.core.files import atomic_path, lost_input, write_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from defectscope.core.components import ComponentSpec

__all__ = [
    "WeightFiles",
    "WeightsCard",
    "find_weights",
    "read_tensors",
    "refuse_foreign",
    "refuse_pickles",
    "registered_file",
]

PICKLES = (".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin")
SUFFIXES = (".safetensors", ".onnx", ".json")
# The distribution of the shipped ones.
SHIPPED = "defectscope"
# What is written beside the safetensors file; the curves by training alone.
BESIDE = (".json", ".onnx", "-curves.png")


class WeightsCard(BaseModel):
    """What a weight file is, and how it was made.

    Parameters
    ----------
    detector
        Name of the component that it belongs to.
    title
        One line for people.
    defect_types
        What it reports, in the order of its output channels.
    architecture
        What the component needs to build the network.
    threshold
        Score from which a detection counts, and `threshold_from`, the data it was chosen on.
    data, recipe
        What it was trained on and with which options, enough to repeat it.
    scores
        Measured accuracy, with the name of what it was measured on.
    licence, versions
        Licence of the weights; versions of the packages that made them.
    sha256
        Digests of the files by suffix.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    detector: str = Field(min_length=1)
    title: str = ""
    task: str = "detection"
    defect_types: tuple[str, ...] = Field(min_length=1)
    architecture: dict[str, Any]
    threshold: float = Field(ge=0, le=1)
    threshold_from: str = ""
    data: str
    recipe: dict[str, Any] = Field(default_factory=dict)
    scores: dict[str, Any] = Field(default_factory=dict)
    licence: str = "MIT"
    versions: dict[str, str] = Field(default_factory=dict)
    sha256: dict[str, str] = Field(default_factory=dict)


def find_weights(
    name: str | PathLike[str], registered: Mapping[str, ComponentSpec], *, shipped: bool = False
) -> Path:
    """Return the file of a registered name, or of a path.

    Parameters
    ----------
    name
        What the user wrote as the option ``weights``.
    registered
        Named weights of the installed plugins (``Runtime.weights``).
    shipped
        Whether the shipped ones are meant where others have that name too: the user named none.

    Raises
    ------
    UnknownNameError
        It is neither a name nor an existing file.
    PluginClashError
        It is a name that several plugins offer.
    FormatError
        It is a pickle.
    PluginLoadError
        The function that a plugin registered for it fails.
    """
    name = fspath(name)
    if shipped and f"{SHIPPED}/{name}" in registered:
        name = f"{SHIPPED}/{name}"
    if name in registered:
        return registered_file(registered[name])
    path = Path(name)
    refuse_pickles(path)
    if path.suffix in SUFFIXES and path.is_file():
        return path
    # Where plugins clash, each has its name with its distribution only.
    candidates = sorted(key for key in registered if key.rpartition("/")[2] == name)
    if name and len(candidates) > 1:
        raise PluginClashError(
            f"several plugins offer the weights {name!r}; name one of {', '.join(candidates)}"
        )
    # Most are known without their distribution as well.
    named = (k for k in registered if "/" not in k or k.rpartition("/")[2] not in registered)
    known = ", ".join(sorted(named)) or "none"
    raise UnknownNameError(
        f"there are no weights {name!r}{did_you_mean(name, registered)}; give the path of a "
        f".safetensors file that exists, or one of the registered names: {known}"
    )


def registered_file(spec: ComponentSpec) -> Path:
    """Return the file that a plugin's function names for registered weights.

    Raises
    ------
    PluginLoadError
        The function raises, or returns no path.
    """
    try:
        given = spec.load()()
    except DefectscopeError:
        raise
    except (Exception, SystemExit) as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise PluginLoadError(
            f"the weights {spec.name!r} cannot be had: {spec.target} raised {text}"
        ) from error
    if not isinstance(given, str | PathLike):
        raise PluginLoadError(
            f"the weights {spec.name!r} cannot be had: {spec.target} must return a pathlib.Path, "
            f"found {type(given).__name__}"
        )
    return Path(given)


def refuse_pickles(path: Path) -> None:
    """Refuse a file that could run code when it is opened.

    Raises
    ------
    FormatError
        Its suffix is that of a pickle; says how to convert it.
    """
    if path.suffix.lower() in PICKLES:
        raise FormatError(
            f"{path} is a pickle, which can run code when it is opened; convert it with: "
            f"defectscope weights convert {path} {path.with_suffix('.safetensors')}"
        )


def refuse_foreign(out: Path, replace: bool, inputs: Collection[Path] = ()) -> None:
    """Refuse to write weights where a file of somebody else would be lost beside them.

    Parameters
    ----------
    out
        The safetensors file to write; whether it may be replaced itself is not asked here.
    replace
        Whether what former weights left beside it may be replaced.
    inputs
        Files that are read.

    Raises
    ------
    OutputError
        One of the `inputs` would be overwritten, what lies at the place of the card is none, or
        there is a card, a twin or curves without `replace`.
    """
    stem = out.with_suffix("")
    written = [out, *(_with_suffix(stem, suffix) for suffix in BESIDE)]
    lost = lost_input(inputs, written)
    if lost is not None:
        raise OutputError(
            f"{lost} is an input, but weights in {out} would overwrite it; choose another name "
            "for the weights"
        )
    there = [path for path in written[1:] if path.exists()]
    card = _with_suffix(stem, ".json")
    if card in there:
        try:
            _read_card(card, out)
        except DefectscopeError as error:
            raise OutputError(
                f"{card} holds something else than the card of former weights, which that of {out} "
                "would overwrite; choose another name for the weights"
            ) from error
    if there and not replace:
        raise OutputError(
            f"{there[0]} exists, and writing {out} would overwrite or delete it; allow that with "
            "--overwrite, or choose another name for the weights"
        )


@dataclass(frozen=True)
class WeightFiles:
    """Weights on disk whose card was read; :meth:`checked` compares a file with its digest.

    Parameters
    ----------
    stem
        Path without suffix.
    card
        What the card says.
    """

    stem: Path
    card: WeightsCard

    @property
    def tensors(self) -> Path:
        """The safetensors file."""
        return _with_suffix(self.stem, ".safetensors")

    @property
    def onnx(self) -> Path:
        """The ONNX twin."""
        return _with_suffix(self.stem, ".onnx")

    @classmethod
    def open(cls, path: str | Path, detector: str | None = None) -> Self:
        """Read the card of any of the three files; the other two are not looked at.

        Parameters
        ----------
        path
            One of the files.
        detector
            Whose weights they must be, or None.

        Raises
        ------
        InputError
            There is no card.
        FormatError
            It is a pickle, or the card is malformed or belongs to another detector.
        """
        path = Path(path)
        refuse_pickles(path)
        stem = path.with_suffix("") if path.suffix in SUFFIXES else path
        card = _read_card(_with_suffix(stem, ".json"), path)
        if detector is not None and card.detector != detector:
            raise FormatError(
                f"{path} holds weights of the detector {card.detector!r}, not of {detector!r}; "
                "choose other weights, or that detector"
            )
        return cls(stem, card)

    def checked(self, suffix: str) -> Path:
        """Return the file of a suffix after comparing its digest with the card's.

        Raises
        ------
        InputError
            The file is missing.
        FormatError
            It is not the file that the card was written for.
        """
        path = _with_suffix(self.stem, suffix)
        try:
            found = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise InputError(
                f"cannot read {path}, which belongs to the card {self.stem.name}.json: "
                f"{error.strerror or error}"
            ) from error
        expected = self.card.sha256.get(suffix.removeprefix("."))
        if expected is not None and found != expected:
            raise FormatError(
                f"{path} is damaged or another file than its card describes: expected the "
                f"SHA-256 {expected[:12]}…, found {found[:12]}…; copy all files of these weights "
                "again"
            )
        return path

    @classmethod
    def save(
        cls,
        path: str | Path,
        card: WeightsCard,
        tensors: Mapping[str, NDArray[np.float32]],
        onnx: bytes | None,
    ) -> Self:
        """Write the files, the card last, each whole or not at all.

        Parameters
        ----------
        path
            The safetensors file.
        card
            Its digests are filled in here.
        tensors
            Arrays by name.
        onnx
            The twin, where the export worked.

        Raises
        ------
        OutputError
            They cannot be written.
        """
        from safetensors.numpy import save

        stem = Path(path).with_suffix("")
        content = {"safetensors": save(dict(tensors), {"detector": card.detector})}
        if onnx is not None:
            content["onnx"] = onnx
        else:
            # That of former weights would be taken for theirs.
            _with_suffix(stem, ".onnx").unlink(missing_ok=True)
        digests = {}
        for suffix, data in content.items():
            with atomic_path(_with_suffix(stem, f".{suffix}")) as temporary:
                temporary.write_bytes(data)
            digests[suffix] = hashlib.sha256(data).hexdigest()
        card = card.model_copy(update={"sha256": digests})
        write_json(_with_suffix(stem, ".json"), card.model_dump(mode="json"))
        return cls(stem, card)


def _with_suffix(stem: Path, suffix: str) -> Path:
    # Path.with_suffix would cut a stem such as `loops-0.5` at its dot.
    return stem.parent / f"{stem.name}{suffix}"


def _read_card(path: Path, asked: Path) -> WeightsCard:
    try:
        return WeightsCard.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(
            f"{asked} cannot be used without its card {path.name}, which lies beside it: "
            f"{error.strerror or error}"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "content"
        raise FormatError(f"{path} is no card of weights: {where}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path} is no card of weights: {error}") from error


def read_tensors(path: str | Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a safetensors file by name.

    Raises
    ------
    InputError
        It cannot be read.
    FormatError
        It is truncated, or something else.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = Path(path)
    refuse_pickles(path)
    try:
        return dict(load(path.read_bytes()))
    except OSError as error:
        raise InputError(f"cannot read the weights {path}: {error.strerror or error}") from error
    except (SafetensorError, ValueError, KeyError) as error:
        raise FormatError(
            f"{path} is truncated or no safetensors file ({error}); copy it again"
        ) from error
