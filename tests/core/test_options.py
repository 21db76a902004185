from __future__ import annotations

import enum
import json
import pickle
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pytest
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from defectscope.core.errors import OptionError
from defectscope.core.options import (
    Options,
    as_written,
    describe_options,
    parse_assignment,
    set_in_vain,
    validate_options,
)

Positive = Annotated[float, Field(gt=0)]


class Peaks(BaseModel):
    """A nested model."""

    count: int = 3


class BlobOptions(Options):
    """Options of every kind."""

    blur_px: float = Field(2.4, ge=0, le=50, description="blur, px")
    engine: Literal["otsu", "fixed"] = Field("otsu", description="how to threshold")
    largest_px: Positive | None = Field(None, description="largest size, px")
    margin_px: int | None = Field(None, ge=0, lt=100, description="margin, px")
    sizes_px: tuple[float, ...] = Field((3.0, 5.0), description="sizes, px")
    weights: str = Field("loops", description="name or path")
    folder: Path = Field(Path("here"), description="folder of images")
    invert: bool = Field(False, description="bright defects")
    peaks: Peaks = Field(default_factory=Peaks, description="peaks")

    @field_validator("weights")
    @classmethod
    def _not_pickled(cls, value: str) -> str:
        if value.endswith(".pt"):
            raise ValueError("convert it first")
        return value


class Polarity(enum.Enum):
    """What an option takes."""

    BRIGHT = "bright"
    DARK = "dark"
    THIRD = 3


class ChosenOptions(Options):
    """Options of an enum."""

    polarity: Polarity = Field(Polarity.BRIGHT, description="polarity")
    other: Polarity | None = Field(None, description="polarity of others")


class NeedsFolder(Options):
    """An option without a default."""

    folder: Path = Field(description="folder of patches")


class Order(Options):
    """Two options that depend on each other."""

    low: int = Field(1, description="low")
    high: int = Field(2, description="high")

    @model_validator(mode="after")
    def _ordered(self) -> Order:
        if self.low > self.high:
            raise ValueError("low must not exceed high")
        return self


class TestValidation:
    def test_defaults(self):
        assert validate_options(BlobOptions, {}, "blobs") == BlobOptions()

    def test_values_are_taken_and_text_is_converted(self):
        made = validate_options(
            BlobOptions,
            {"blur_px": "3.5", "margin_px": 0, "sizes_px": [1, 2], "invert": "true"},
            "b",
        )
        assert (made.blur_px, made.margin_px, made.sizes_px, made.invert) == (3.5, 0, (1, 2), True)

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            (
                {"blur": 3},
                r"'blobs' has no option 'blur' \(did you mean 'blur_px'\?\); its options are: "
                "blur_px, engine, ",
            ),
            ({"qqqqqq": 3}, "'blobs' has no option 'qqqqqq'; its options are"),
            (
                {"blur_px": 51},
                "option blobs.blur_px = 51 is not possible: input should be less than or equal",
            ),
            ({"blur_px": -1}, "option blobs.blur_px = -1 is not possible: input should be greater"),
            ({"blur_px": "wide"}, "option blobs.blur_px = 'wide' is not possible"),
            ({"engine": "otzu"}, "option blobs.engine = 'otzu' .* 'otsu' or 'fixed'"),
            ({"largest_px": 0}, "option blobs.largest_px = 0 is not possible"),
            ({"sizes_px": [1, "a"]}, r"option blobs.sizes_px.1 = 'a' is not possible"),
            ({"peaks": {"count": "x"}}, r"option blobs.peaks.count = 'x' is not possible"),
            (
                {"peaks": "bla"},
                r"option blobs.peaks = 'bla' is not possible: it is a table, written "
                r"blobs.peaks='\{ \"NAME\" = VALUE, ... \}'$",
            ),
            ({"weights": "a.pt"}, "option blobs.weights = 'a.pt' .* convert it first"),
        ],
    )
    def test_one_sentence_names_option_value_and_reason(self, values, message):
        with pytest.raises(OptionError, match=f"^{message}") as caught:
            validate_options(BlobOptions, values, "blobs")
        assert "\n" not in str(caught.value)

    def test_a_component_without_options_says_so(self):
        with pytest.raises(OptionError, match="'plain' has no option 'size'; it has no options"):
            validate_options(Options, {"size": 3}, "plain")

    def test_an_option_that_must_be_given(self):
        with pytest.raises(
            OptionError, match=r"^option images\.folder has no default and must be given$"
        ):
            validate_options(NeedsFolder, {}, "images")

    def test_options_that_contradict_each_other(self):
        with pytest.raises(OptionError, match=r"option order = .* low must not exceed high"):
            validate_options(Order, {"low": 5}, "order")

    def test_options_are_frozen_and_refuse_what_they_do_not_know(self):
        with pytest.raises(ValidationError, match="frozen"):
            BlobOptions().blur_px = 3
        with pytest.raises(ValidationError, match="Extra inputs"):
            BlobOptions(blur=3)

    def test_defaults_are_checked_as_well(self):
        class Wrong(Options):
            size_px: float = Field(-1, gt=0, description="size, px")

        with pytest.raises(ValidationError, match="greater than 0"):
            Wrong()


class TestAssignment:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("blobs.blur_px=3", ("blobs", "blur_px", 3)),
            ("blobs.blur-px=3.5", ("blobs", "blur_px", 3.5)),
            ("blobs.blur_px = 1e-3", ("blobs", "blur_px", 1e-3)),
            ("blobs.invert=true", ("blobs", "invert", True)),
            ("blobs.invert=True", ("blobs", "invert", "True")),
            ("blobs.sizes_px=[1, 2.5]", ("blobs", "sizes_px", [1, 2.5])),
            ("blobs.peaks={count = 2}", ("blobs", "peaks", {"count": 2})),
            ("blobs.weights=loops", ("blobs", "weights", "loops")),
            ('blobs.weights="2024"', ("blobs", "weights", "2024")),
            ("blobs.weights='a b'", ("blobs", "weights", "a b")),
            ("blobs.weights=/data/a=b.onnx", ("blobs", "weights", "/data/a=b.onnx")),
            (r"blobs.weights=C:\new\a.onnx", ("blobs", "weights", r"C:\new\a.onnx")),
            ("blobs.weights=", ("blobs", "weights", "")),
            ("a-plugin/blobs.blur_px=3", ("a-plugin/blobs", "blur_px", 3)),
            ("a.plugin/blobs.blur_px=3", ("a.plugin/blobs", "blur_px", 3)),
            ("images.folder=2024-05-01", ("images", "folder", "2024-05-01")),
            ("images.folder=2024-05-01T10:30:00", ("images", "folder", "2024-05-01T10:30:00")),
            ("images.folder=10:30:00", ("images", "folder", "10:30:00")),
        ],
    )
    def test_forms(self, text, expected):
        found = parse_assignment(text)
        assert found == expected
        assert isinstance(found[2], type(expected[2]))

    @pytest.mark.parametrize("text", ["", "blobs", "blur_px=3", "blobs.=3", ".x=3", "blobs.x", "="])
    def test_anything_else_is_refused_with_the_form(self, text):
        with pytest.raises(OptionError, match=r"--set takes NAME.option=value, found ") as caught:
            parse_assignment(text)
        assert repr(text) in str(caught.value)


class TestDescription:
    rows = {row.name: row for row in describe_options(BlobOptions)}  # noqa: RUF012

    def test_a_row_for_each_option_in_their_order(self):
        assert list(self.rows) == list(BlobOptions.model_fields)
        assert self.rows["blur_px"].description == "blur, px"

    @pytest.mark.parametrize(
        ("name", "type_", "default", "limits"),
        [
            ("blur_px", "float", 2.4, ">= 0, <= 50"),
            ("engine", '"otsu" | "fixed"', "otsu", ""),
            ("largest_px", "float | none", None, "> 0"),
            ("margin_px", "int | none", None, ">= 0, < 100"),
            ("sizes_px", "tuple[float, ...]", (3.0, 5.0), ""),
            ("weights", "str", "loops", ""),
            ("folder", "Path", Path("here"), ""),
            ("invert", "bool", False, ""),
            ("peaks", "Peaks", {"count": 3}, ""),
        ],
    )
    def test_type_default_and_limits(self, name, type_, default, limits):
        row = self.rows[name]
        assert (row.type, row.default, row.limits) == (type_, default, limits)

    def test_values_of_an_enum_are_listed_as_they_are_set(self):
        by, none = describe_options(ChosenOptions)
        assert (by.type, by.default) == ('"bright" | "dark" | 3', "bright")
        assert (none.type, none.default) == ('"bright" | "dark" | 3 | none', None)
        assert validate_options(ChosenOptions, {"polarity": "dark"}, "x").polarity is Polarity.DARK

    def test_an_option_without_a_default_must_be_given(self):
        class Bare(Options):
            level: float = Field(gt=0, description="level")

        (row,) = describe_options(Bare)
        assert (row.default, row.limits) == (None, "must be given, > 0")

    def test_no_options_no_rows(self):
        assert describe_options(Options) == []


class Texts(Options):
    """Options that take text, and such that take numbers as well."""

    folder: Path | None = Field(None, description="folder")
    label: str | None = Field(None, description="label")
    preset: Literal["one"] | Path = Field("one", description="name or file")
    count: int | str = Field(0, description="number or word")
    share: float = Field(0.0, description="number")


@pytest.mark.parametrize("text", ["2024", "2024_01", "1.50", "+5", "0x10", "1e3"])
def test_numbers_are_text_where_text_is_asked_for(text: str) -> None:
    for name in ("folder", "label", "preset"):
        _, option, value = parse_assignment(f"images.{name}={text}")
        found = validate_options(Texts, {option: value}, "images")
        assert str(getattr(found, name)) == text
        assert as_written(Texts, {option: value}) == {option: text}


def test_numbers_stay_numbers_where_one_is_asked_for() -> None:
    for name in ("count", "share"):
        value = parse_assignment(f"images.{name}=2_000")[2]
        assert getattr(validate_options(Texts, {name: value}, "images"), name) == 2000
        assert json.loads(json.dumps(as_written(Texts, {name: value}))) == {name: 2000}
        assert pickle.loads(pickle.dumps(value)).text == "2_000"
    with pytest.raises(OptionError, match="valid string"):
        validate_options(Texts, {"label": 5}, "images")


def test_paths_are_text_where_text_is_asked_for() -> None:
    found = validate_options(Texts, {"label": Path("a/b"), "folder": Path("a/b")}, "images")
    assert (found.label, found.folder) == (str(Path("a/b")), Path("a/b"))
    written = as_written(Texts, {"label": Path("x"), "preset": Path("y"), "other": Path("z")})
    assert written == {"label": "x", "preset": Path("y"), "other": Path("z")}
    with pytest.raises(OptionError, match="valid number"):
        validate_options(Texts, {"share": Path("a/b")}, "images")


def test_numbers_of_numpy_become_plain_ones() -> None:
    given = {"count": np.int64(3), "share": np.float32(0.5), "table": {"a": [np.int8(1)]},
             "row": np.arange(2)}  # fmt: skip
    written = as_written(Texts, given)
    assert written == {"count": 3, "share": 0.5, "table": {"a": [1]}, "row": [0, 1]}
    assert json.dumps(written)


class Switched(Options):
    """Options of which one needs another."""

    on: bool = Field(False, description="switch")
    length_px: float = Field(3.0, description="of no use without it")


@pytest.mark.parametrize(
    ("given", "found"),
    [({}, None), ({"length_px": 3}, None), ({"length_px": 4}, "length_px"), ({"on": True}, "on")],
)
def test_what_was_set_to_something_else_than_its_default_is_named(given, found):
    assert set_in_vain(Switched(**given), "length_px", "on") == found
