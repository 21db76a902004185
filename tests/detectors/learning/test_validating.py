"""Which frames the best state is chosen on, and what a card calls them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from defectscope import Instances, TrainingData, TrainingJob
from defectscope.core.errors import InputError
from defectscope.detectors.learning.validating import (
    VALIDATION_FROM,
    chosen_on,
    expect_others,
    spread_numbers,
    validation_frames,
)


class Series(TrainingData):
    """Frames whose only pixel is their number; some are labelled."""

    defect_types = ("loop",)
    length = None

    def __init__(self, length, labelled=(), title="series"):
        self.length, self.labelled, self.title = length, labelled, title
        self.loaded = []

    def load(self, number):
        self.loaded.append(number)
        return np.full((9, 9), number), self.truth(number)

    def truth(self, number):
        boxes = [(1, 1, 5, 5)] if number in self.labelled else []
        return Instances((9, 9), boxes, defect_types="loop")

    def recipe(self):
        return {"title": self.title}


def job(data, **given):
    return TrainingJob(data, Path("x.safetensors"), None, say=lambda text: None, **given)


def chosen(data, most, **given):
    return [int(p[0, 0]) for p, _ in validation_frames(job(data, **given), most, len)]


class TestWhichFrames:
    def test_those_of_a_dataset_are_spread_over_all_of_it(self):
        assert chosen(Series(100, range(100)), 4) == [12, 37, 62, 87]
        assert chosen(Series(3, range(3)), 48) == [0, 1, 2]

    def test_frames_before_the_irradiation_do_not_hide_the_labelled_ones(self):
        numbers = chosen(Series(100, range(80, 100)), 4)
        assert len(numbers) == 4
        assert sum(number >= 80 for number in numbers) == 2
        assert 57 in chosen(Series(100, [57]), 3)

    def test_only_those_that_are_chosen_are_read(self):
        data = Series(100, range(80, 100))
        assert data.loaded == []
        assert len(chosen(data, 4)) == len(data.loaded) == 4

    def test_those_of_a_recipe_are_the_first_that_training_never_reaches(self):
        expected = [VALIDATION_FROM + k for k in range(3)]
        assert chosen(Series(None, expected), 3) == expected

    @pytest.mark.parametrize("length", [1, 7, 48, 49, 333])
    @pytest.mark.parametrize("most", [1, 2, 7, 48])
    @pytest.mark.parametrize("share", [0.1, 0.5, 1])
    def test_numbers_are_as_many_as_were_asked_for_and_differ(self, length, most, share):
        most = min(most, length)
        flags = np.random.default_rng(0).random(length) < share
        numbers = spread_numbers(flags.tolist(), most)
        assert len(set(numbers)) == len(numbers) == most
        assert flags[numbers].any() == flags.any()

    def test_nothing_to_learn_is_said_where_no_frame_has_a_label(self):
        with pytest.raises(InputError, match="series has no defect to learn in all of its 9 frame"):
            chosen(Series(9), 3)
        with pytest.raises(InputError, match="in its first 3 frames"):
            chosen(Series(None), 3)

    def test_labels_without_lines_are_told_from_no_labels(self):
        todo = job(Series(9, [1]))
        message = "labels of series have boxes or masks, but no lines, in all of its 9 frames"
        with pytest.raises(InputError, match=message):
            validation_frames(todo, 9, lambda truth: truth.lines is not None)


class TestWhatTheyAreCalled:
    def test_training_frames_are_called_so(self):
        for given in ({}, {"validation": Series(9, [1])}):
            todo = job(Series(9, [1]), **given)
            assert chosen_on(todo) == ("training frames", "series (the training frames)")

    def test_others_are_a_validation(self):
        other = job(Series(9, [1]), validation=Series(9, [1], "others"))
        assert chosen_on(other) == ("validation", "others")
        assert chosen_on(replace(other, validation=Series(None), data=Series(None))) == (
            "validation", "series",
        )  # fmt: skip
        assert chosen_on(job(Series(None)))[0] == "validation"

    def test_frames_drawn_from_the_same_files_are_told(self):
        one, same, other, none = (Series(None) for _ in range(4))
        one.shown_files, same.shown_files = (lambda: {"1", "3"}), (lambda: {"1"})
        other.shown_files = lambda: {"2"}
        # What nobody sees in a frame is the same in both, too.
        one.depends_on = none.depends_on = lambda: {"source 1": {"loops": {"files": {"a": "4"}}}}
        said = []
        for given in (None, same, other, none, Series(9, [1])):
            todo = replace(job(one, validation=given), say=said.append)
            flatters = given in (None, same)
            title = "series (drawn from the same files)" if flatters else "series"
            assert chosen_on(todo) == ("validation", title)
            expect_others(todo)
            assert len(said) == flatters
            assert all("name frames of other files with --validation" in text for text in said)
            said.clear()
        expect_others(replace(job(none), say=said.append))
        assert chosen_on(job(none)) == ("validation", "series")
        assert not said

    def test_the_same_files_are_told_wherever_they_lie(self, tmp_path):
        def series(folder, *contents):
            (tmp_path / folder).mkdir()
            made = Series(len(contents), [1], folder)
            paths = [tmp_path / folder / f"{k}.png" for k in range(len(contents))]
            for path, content in zip(paths, contents, strict=True):
                path.write_bytes(content)
            made.sources = lambda: [(path, "") for path in paths]
            return made

        data = series("data", b"one", b"two", b"three")
        said = []
        for folder, contents, expected in (
            ("copies", (b"two", b"one"), ("training frames", "copies (the training frames)")),
            ("some", (b"new", b"one", b"fresh"),
             ("validation", "some (1 of its 3 frames are training frames)")),
            ("others", (b"new", b"longer"), ("validation", "others")),
        ):  # fmt: skip
            todo = replace(job(data, validation=series(folder, *contents)), say=said.append)
            assert chosen_on(todo) == expected
            expect_others(todo)
        assert len(said) == 2
        assert "chosen on the training frames" in said[0]
        assert "1 of 3 validation frames are also training frames" in said[1]
