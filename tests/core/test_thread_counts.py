from __future__ import annotations

import gc
import threading
from contextlib import ExitStack

import pytest

from defectscope.core.thread_counts import ThreadCount


class Package:
    def __init__(self, threads):
        self.threads = threads

    def tell(self):
        return self.threads

    def change(self, threads):
        self.threads = threads


@pytest.fixture
def package():
    return Package(8)


@pytest.fixture
def count(package):
    return ThreadCount(package.tell, package.change)


def test_the_number_comes_back(package, count):
    with count.of(2):
        assert package.threads == 2
    assert package.threads == 8
    with pytest.raises(ValueError, match="stop"), count.of(3):
        raise ValueError("stop")
    assert package.threads == 8


@pytest.mark.parametrize("first", [0, 1])
def test_whoever_ends_last_gives_it_back(package, count, first):
    uses = [ExitStack(), ExitStack()]
    for number, use in enumerate(uses):
        use.enter_context(count.of(number + 1))
    assert package.threads == 2
    uses[first].close()
    assert package.threads == 2
    uses[1 - first].close()
    assert package.threads == 8


def test_a_use_may_end_in_another_thread(package, count):
    use = ExitStack()
    thread = threading.Thread(target=lambda: use.enter_context(count.of(1)))
    thread.start()
    thread.join()
    assert package.threads == 1
    use.close()
    assert package.threads == 8


def test_a_use_that_nobody_ended_ends_with_who_held_it(package, count):
    use = ExitStack()
    use.enter_context(count.of(1))
    del use
    gc.collect()
    assert package.threads == 8
