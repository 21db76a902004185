"""What of frames and components comes through to other processes, and what is said where not."""

import pickle

import pytest

import defectscope as ds
from defectscope.pipeline.handing_over import packed, unpacked


class Refusing:
    """Cannot be handed over, for a reason of its own."""

    def __init__(self, error):
        self.error = error

    def __getstate__(self):
        raise self.error


class Spoilt:
    """Cannot be made again."""

    def __init__(self, error):
        self.error = error

    def __setstate__(self, state):
        raise state["error"]


@pytest.mark.parametrize("error", [ds.InputGoneError("the disk has gone"), MemoryError("4 GB")])
def test_what_says_itself_what_to_do_is_passed_on(error):
    with pytest.raises(type(error), match=str(error)):
        packed(Refusing(error))
    with pytest.raises(type(error), match=str(error)):
        unpacked(pickle.dumps(Spoilt(error)))


def test_any_other_error_is_one_sentence_and_keeps_its_cause():
    with pytest.raises(ds.UsageError, match=r"cannot be handed to other processes \(no\)") as said:
        packed(Refusing(TypeError("no")))
    assert isinstance(said.value.__cause__, TypeError)
    with pytest.raises(ds.UsageError, match=r"made again in another process \(KeyError\)"):
        unpacked(pickle.dumps(Spoilt(KeyError())))
