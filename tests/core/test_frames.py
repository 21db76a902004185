from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from defectscope.core.calibration import Calibration
from defectscope.core.errors import DamagedFrameError, OptionError, UsageError
from defectscope.core.frames import (
    Frame,
    FrameSelection,
    FrameSequence,
    frame_indices,
    parse_frame_range,
)

NUMBERED = np.arange(80, dtype=np.uint8).reshape(8, 10)


def spoilt(value):
    pixels = np.linspace(0, 1, 80, dtype=np.float32).reshape(8, 10)
    pixels[3, 4] = value
    return pixels


class Memory(FrameSequence):
    """Frames in memory, which note what was read."""

    def __init__(self, indices, calibration=None):
        self.indices = tuple(indices)
        self.names = tuple(f"Frame{i}.jpg" for i in self.indices)
        self.calibration = calibration or Calibration()
        self.warnings = []
        self.log = []
        self.closed = 0

    def read(self, position):
        self.log.append(position)
        if self.indices[position] == 13:
            raise DamagedFrameError("Frame13.jpg: cut off")
        return NUMBERED + np.uint8(position)

    def close(self):
        self.closed += 1


def test_one_line_shows_a_series():
    frames = Memory([461, 470, 465], Calibration(pixel_size_nm=0.372))
    assert repr(frames) == "<Memory: 3 frames, indices 461 to 470, 0.372 nm/px>"
    assert repr(frames[:1]) == "<FrameSelection: 1 frames, indices 461 to 461, 0.372 nm/px>"
    assert repr(Memory([])) == "<Memory: 0 frames>"


class TestFrame:
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
    def test_pixels_stay_as_they_were_read(self, dtype):
        pixels = NUMBERED.astype(dtype)
        frame = Frame(pixels, 461, source="Frame461.jpg")
        assert frame.pixels is pixels
        assert frame.shape == (8, 10)
        assert frame.calibration == Calibration()

    @pytest.mark.parametrize(
        ("pixels", "message"),
        [
            (np.zeros((8, 10, 3), np.uint8), r"expected a 2-D grey image.*\(8, 10, 3\)"),
            (np.zeros(80, np.uint8), r"expected a 2-D grey image.*\(80,\)"),
            (NUMBERED.astype(float), "expected uint8, uint16 or float32 pixels, found float64"),
            (NUMBERED.astype(np.int16), "expected .* found int16"),
            (NUMBERED > 5, "expected .* found bool"),
            (NUMBERED.astype(complex), "expected .* found complex128"),
            (NUMBERED[:7], "the image is 10 x 7 px; at least 8 x 8 px are needed"),
            (NUMBERED[:, :0], "the image is 0 x 8 px"),
            (spoilt(np.nan), r"1 of 80 pixels are not finite"),
            (spoilt(np.inf), r"1 of 80 pixels are not finite"),
            (spoilt(-np.inf), r"1 of 80 pixels are not finite"),
            (np.full((8, 8), np.nan, np.float32), "64 of 64 pixels are not finite"),
            (np.full((8, 8), 7, np.uint16), "every pixel has the value 7"),
            (np.zeros((8, 8), np.float32), "every pixel has the value 0.0"),
        ],
    )
    def test_what_cannot_be_measured_is_refused(self, pixels, message):
        with pytest.raises(DamagedFrameError, match=f"^movie.tif#3: .*{message}"):
            Frame(pixels, 3, source="movie.tif#3")

    @pytest.mark.parametrize(
        ("pixels", "message"),
        [
            (NUMBERED.tolist(), "must be a numpy array, found list; make one with numpy.asarray"),
            (np.ma.masked_less(NUMBERED, 3), r"a masked array, .* Pipeline.run\(..., masks="),
        ],
    )
    def test_what_is_no_plain_array_is_refused(self, pixels, message):
        with pytest.raises(UsageError, match=f"^a.png: the pixels .*{message}"):
            Frame(pixels, source="a.png")

    def test_the_index_is_a_whole_number(self):
        assert type(Frame(NUMBERED, np.int64(5)).index) is int
        with pytest.raises(UsageError, match=r"^a.png: the index must be .*, found 0.5"):
            Frame(NUMBERED, 0.5, source="a.png")

    def test_the_source_may_be_a_path(self):
        assert Frame(NUMBERED, source=Path("a.png")).source == "a.png"

    def test_a_frame_without_source_is_named_by_its_index(self):
        with pytest.raises(DamagedFrameError, match=r"^frame 12: every pixel"):
            Frame(np.zeros((8, 8), np.uint8), 12)

    def test_the_smallest_frame(self):
        assert Frame(NUMBERED[:8, :8]).shape == (8, 8)

    def test_two_grey_values_are_enough(self):
        pixels = np.zeros((8, 8), np.uint8)
        pixels[7, 7] = 1
        assert Frame(pixels).pixels.max() == 1

    def test_a_frame_cannot_be_changed(self):
        with pytest.raises(AttributeError):
            Frame(NUMBERED).index = 5

    def test_frames_are_compared_by_identity(self):
        frame, twin = Frame(NUMBERED), Frame(NUMBERED.copy())
        assert frame in [twin, frame]
        assert frame not in [twin]
        assert len({frame, twin}) == 2

    def test_integers_are_scaled_by_their_type_and_floats_stay(self):
        for dtype, top in ((np.uint8, 255), (np.uint16, 65535)):
            pixels = np.zeros((8, 8), dtype)
            pixels[0, 0], pixels[1, 1] = top, top // 5
            scaled = Frame(pixels).scaled()
            assert scaled.dtype == np.float32
            assert scaled[0, 0] == 1
            assert scaled[1, 1] == pytest.approx(0.2)
        counts = NUMBERED.astype(np.float32) * 300
        assert np.array_equal(Frame(counts).scaled(), counts)

    def test_frames_pickle(self):
        back = pickle.loads(pickle.dumps(Frame(NUMBERED, 5, source="a.png")))
        assert np.array_equal(back.pixels, NUMBERED)
        assert (back.index, back.source) == (5, "a.png")


class TestSequence:
    def test_nothing_is_read_before_it_is_asked_for(self):
        series = Memory(range(461, 661))
        part = series.select(500, 600, 2)[10:20].calibrated(Calibration(pixel_size_nm=1))
        assert len(series) == 200
        assert len(part) == 10
        assert part.names[0] == "Frame520.jpg"
        iterator = iter(part)
        assert series.log == []
        assert next(iterator).index == 520
        assert series.log == [59]

    def test_positions_count_from_either_end(self):
        series = Memory([461, 462, 464])
        assert series[0].index == 461
        assert series[-1].index == 464
        assert series[np.int64(1)].source == "Frame462.jpg"
        assert np.array_equal(series[-1].pixels, NUMBERED + 2)
        for position in (3, -4):
            with pytest.raises(IndexError):
                series[position]

    @pytest.mark.parametrize(
        "part", [slice(1, 3), slice(None, None, -1), slice(-2, None), slice(5, 9), slice(0, 0)]
    )
    def test_slices_are_those_of_a_list(self, part):
        indices = [461, 462, 464, 465]
        found = Memory(indices)[part]
        assert isinstance(found, FrameSelection)
        assert list(found.indices) == indices[part]
        assert [frame.index for frame in found] == indices[part]
        assert [frame.source for frame in found] == list(found.names)

    @given(
        st.lists(st.integers(0, 50), unique=True),
        st.none() | st.integers(-5, 60),
        st.none() | st.integers(-5, 60),
        st.none() | st.integers(1, 7),
    )
    def test_selection_goes_by_index(self, indices, first, stop, step):
        found = Memory(indices).select(first, stop, step)
        low = min(indices, default=0) if first is None else first
        expected = [
            i
            for i in indices
            if i >= low and (stop is None or i < stop) and (i - low) % (step or 1) == 0
        ]
        assert list(found.indices) == expected

    def test_a_selection_that_ends_at_frame_0_is_empty(self):
        assert len(Memory([0, 1]).select(None, 0, None)) == 0
        assert Memory([0, 1]).select(0, 1, None).indices == (0,)

    def test_selections_of_selections(self):
        series = Memory(range(100))
        part = series.select(10, 50, None)[::2].select(20, None, 4)
        assert part.indices == tuple(range(20, 50, 4))
        assert part[-1].index == 48
        assert np.array_equal(part[0].pixels, NUMBERED + 20)
        assert np.array_equal(part.read(0), NUMBERED + 20)
        with pytest.raises(IndexError):
            part[len(part)]

    def test_the_last_calibration_holds(self):
        series = Memory([3, 4], Calibration(pixel_size_nm=1, thickness_nm=75))
        assert series[0].calibration.pixel_size_nm == 1
        assert series[1:].calibration is series.calibration
        other = Calibration(pixel_size_nm=2)
        twice = series.calibrated(other).calibrated(Calibration(pixel_size_nm=3))
        assert twice[0].calibration.pixel_size_nm == 3
        assert series.calibrated(other)[1:][0].calibration == other
        assert series.calibrated(other).select(4, None, None)[0].calibration == other

    def test_a_damaged_frame_stops_only_itself(self):
        series = Memory([12, 13, 14])
        assert series[0].index == 12
        with pytest.raises(DamagedFrameError, match="Frame13"):
            series[1:][0]
        assert series[2].index == 14

    def test_closing_a_selection_closes_its_parent_and_reading_goes_on(self):
        series = Memory([0, 1])
        with series[:1] as part:
            assert part[0].index == 0
        assert series.closed == 1
        assert part[0].index == 0

    def test_warnings_that_come_up_while_reading_reach_selections(self):
        series = Memory([0, 1])
        part = series[:1].calibrated(Calibration())
        series.warnings.append("pixels are not square")
        assert part.warnings == ["pixels are not square"]

    def test_an_empty_series(self):
        series = Memory([])
        assert len(series) == 0
        assert list(series) == []
        assert len(series.select(None, None, None)) == 0
        assert len(series[:]) == 0

    def test_selections_pickle(self):
        part = pickle.loads(pickle.dumps(Memory(range(9))[3:].calibrated(Calibration())))
        assert [frame.index for frame in part] == [3, 4, 5, 6, 7, 8]

    def test_what_a_sequence_offers_beside_positions(self):
        series = Memory([5, 6])
        assert [frame.index for frame in reversed(series)] == [6, 5]
        assert series[0] not in series, "every access makes a frame of its own"


class TestIndices:
    @pytest.mark.parametrize(
        ("stems", "expected"),
        [
            (["Frame461", "Frame462", "Frame464"], (461, 462, 464)),
            (["Frame0461"], (461,)),
            (["12", "7"], (12, 7)),
            (["loop 3", "loop 12"], (3, 12)),
            (["run2_Frame5", "run2_Frame6"], (5, 6)),
            (["run1_5", "run2_6"], (0, 1)),
            # ... before the first part of a suffix in two parts.
            (["img5.ome", "img7.ome"], (5, 7)),
            (["img5.bf", "img5.df"], (0, 1)),
            (["img5.3kv", "img7.3kv"], (0, 1)),
            (["Frame461", "Image462"], (0, 1)),
            (["Frame461", "overview"], (0, 1)),
            (["Frame461", "Frame461b"], (0, 1)),
            (["a1", "a01"], (0, 1)),
            # ... or before the same text everywhere.
            (["scan5_dark", "scan6_dark"], (5, 6)),
            (["img (1)", "img (2)", "img (7)"], (1, 2, 7)),
            (["frame_0007_BF", "frame_0009_BF"], (7, 9)),
            (["frame_0007_BF", "frame_0009_DF"], (0, 1)),
            (["a5b", "ab6"], (0, 1)),
            (["run2_5_BF", "run2_6_BF"], (0, 1)),
            (["img5 (1)", "img5 (2)"], (0, 1)),
            (["Image_0001_Camera", "Image_0003_Camera"], (1, 3)),
            (["0001-BF", "0003-BF"], (1, 3)),
            # ... but units and dates count nothing, and one file alone says nothing of it.
            (["50kx", "100kx", "200kx"], (0, 1, 2)),
            (["Au 5min", "Au 10min"], (0, 1)),
            (["Au 5µm", "Au 10µm"], (0, 1)),
            (["300kV_a", "300kV_b"], (0, 1)),
            (["img 5 min", "img 10 min"], (0, 1)),
            (["5 min", "10 min"], (0, 1)),
            (["Au_5_min_BF", "Au_10_min_BF"], (0, 1)),
            (["a 200 kV BF", "a 300 kV BF"], (0, 1)),
            (["a 5 µm", "a 10 µm"], (0, 1)),
            (["a 5 s", "a 10 s"], (0, 1)),
            (["a 5 minor", "a 10 minor"], (5, 10)),
            (["a_5_s", "a_10_s"], (5, 10)),
            (["a 5 minutes", "a 10 minutes"], (0, 1)),
            (["a-5-Hours", "a-10-Hours"], (0, 1)),
            (["a_5_kx", "a_10_kx"], (0, 1)),
            # High resolution, the darkest of each pixel, somebody's letters: none is a unit.
            (["frame_0012_HR", "frame_0013_HR"], (12, 13)),
            (["frame_0012_MIN", "frame_0013_MIN"], (12, 13)),
            (["frame-0012-NA", "frame-0013-NA"], (12, 13)),
            (["run5_200 kV_0001", "run5_200 kV_0002"], (1, 2)),
            (["Fig3a", "Fig4a"], (0, 1)),
            (["20240501_BF", "20240502_BF"], (0, 1)),
            (["20241301_BF", "20241302_BF"], (20241301, 20241302)),
            (["sample 300kV BF"], (0,)),
            (["sample (300) BF"], (0,)),
            ([], ()),
        ],
    )
    def test_the_number_in_the_name_or_the_position(self, stems, expected):
        assert frame_indices(stems) == expected

    def test_a_number_that_no_table_can_hold_is_no_index(self):
        assert frame_indices([f"a{2**63 - 1}"]) == (2**63 - 1,)
        assert frame_indices([f"a{2**63}", "a1"]) == (0, 1)

    @given(st.lists(st.integers(0, 10**6), unique=True, min_size=1), st.sampled_from(["", "Img_"]))
    def test_numbers_come_back(self, numbers, stem):
        assert frame_indices([f"{stem}{n:04d}" for n in numbers]) == tuple(numbers)


class TestRange:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("461:661", (461, 661, None)),
            ("461:661:10", (461, 661, 10)),
            (":", (None, None, None)),
            ("::", (None, None, None)),
            ("::5", (None, None, 5)),
            ("100:", (100, None, None)),
            (":100", (None, 100, None)),
            (" 1 : 2 ", (1, 2, None)),
            ("5:5", (5, 5, None)),
        ],
    )
    def test_every_part_may_be_left_out(self, text, expected):
        assert parse_frame_range(text) == expected

    @pytest.mark.parametrize(
        "text", ["", "5", "a:b", "1:2:3:4", "1:2:0", "1:2:-1", "1.5:3", "1-5", "1:2:x"]
    )
    def test_anything_else_is_refused_with_the_form(self, text):
        with pytest.raises(OptionError, match="FIRST:STOP:STEP with STEP at least 1") as caught:
            parse_frame_range(text)
        assert repr(text) in str(caught.value)

    @pytest.mark.parametrize("text", ["-10:", ":-1", "-5:10", "0:-1:2"])
    def test_counting_from_the_end_is_refused(self, text):
        with pytest.raises(OptionError, match="cannot count from the end") as caught:
            parse_frame_range(text)
        assert repr(text) in str(caught.value)
