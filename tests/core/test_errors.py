from __future__ import annotations

import inspect
import pickle

import pytest

from defectscope.core import errors
from defectscope.core.errors import (
    ComponentError,
    DamagedFrameError,
    DefectscopeError,
    FormatError,
    InputError,
    InputGoneError,
    MissingPackageError,
    OptionError,
    OutputError,
    PluginClashError,
    PluginError,
    PluginLoadError,
    UnfitOptionError,
    UnknownNameError,
    UsageError,
    WorkersLostError,
    did_you_mean,
)

TREE = {
    UsageError: DefectscopeError,
    OptionError: UsageError,
    UnfitOptionError: OptionError,
    UnknownNameError: UsageError,
    InputError: DefectscopeError,
    DamagedFrameError: InputError,
    InputGoneError: InputError,
    FormatError: InputError,
    OutputError: DefectscopeError,
    WorkersLostError: DefectscopeError,
    MissingPackageError: DefectscopeError,
    PluginError: DefectscopeError,
    PluginLoadError: PluginError,
    PluginClashError: PluginError,
    ComponentError: PluginError,
}
WRONG_USAGE = {UsageError, OptionError, UnfitOptionError, UnknownNameError, PluginClashError}


def test_the_tree_is_complete():
    classes = {
        value
        for _, value in inspect.getmembers(errors, inspect.isclass)
        if issubclass(value, BaseException)
    }
    assert classes == {DefectscopeError, *TREE}
    assert {c.__name__ for c in classes} | {"did_you_mean"} == set(errors.__all__)


@pytest.mark.parametrize(("child", "parent"), TREE.items())
def test_each_error_has_its_place(child, parent):
    assert issubclass(child, parent)
    assert issubclass(child, DefectscopeError)


@pytest.mark.parametrize("error", [DefectscopeError, *TREE])
def test_wrong_usage_exits_with_2_and_failure_with_1(error):
    assert error.exit_code == (2 if error in WRONG_USAGE else 1)


def test_a_clash_is_also_wrong_usage():
    assert issubclass(PluginClashError, UsageError)


def test_the_tree_in_the_docstring_names_every_error():
    for error in (DefectscopeError, *TREE):
        assert f"{error.__name__} " in errors.__doc__


@pytest.mark.parametrize("error", [e for e in TREE if e is not MissingPackageError])
def test_errors_come_back_from_worker_processes(error):
    back = pickle.loads(pickle.dumps(error("frame 7: no contrast")))
    assert type(back) is error
    assert str(back) == "frame 7: no contrast"


def test_a_missing_package_says_how_to_install_it_also_after_pickling():
    error = MissingPackageError("torch", "torch", "training 'unetpp'")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is MissingPackageError
    assert str(back) == str(error)
    assert str(back) == (
        "training 'unetpp' needs the package torch, which is not installed; "
        'install it with: pip install "defectscope[torch]"'
    )


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("watershed-elipse", " (did you mean 'watershed-ellipse'?)"),
        ("trackpi", " (did you mean 'trackpy'?)"),
        ("qqqqqq", ""),
    ],
)
def test_the_nearest_name_is_suggested(name, hint):
    assert did_you_mean(name, iter(["trackpy", "watershed-ellipse"])) == hint


def test_nothing_is_suggested_out_of_nothing():
    assert did_you_mean("trackpy", []) == ""


def test_an_extra_of_another_distribution_is_installed_from_there():
    error = MissingPackageError("cupy", "gpu", "'fast-blobs'", "defectscope-fast")
    assert 'pip install "defectscope-fast[gpu]"' in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
