"""Tests for plugin authors: subclass one class, and pytest checks the whole contract.

::

    from defectscope.plugins.testing import DetectorConformance
    from my_package.plugin import Darkest

    class TestDarkest(DetectorConformance):
        component = Darkest

Fixtures, in a ``conftest.py``::

    pytest_plugins = ["defectscope.plugins.testing"]

``defectscope_host`` is a host that discovers nothing by itself, ``defectscope_frame``,
``defectscope_instances`` and ``defectscope_tables`` are things to try a component on.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from defectscope.core.base import Runtime
from defectscope.core.components import ComponentSpec
from defectscope.core.defect_types import DefectType
from defectscope.core.errors import MissingPackageError
from defectscope.plugins import shipped_types
from defectscope.plugins.conformance import (
    Check,
    CheckResult,
    NotCheckedError,
    Setup,
    check_component,
    check_import_cost,
    checks_of,
)
from defectscope.plugins.conformance.basics import SAMPLE_TYPES
from defectscope.plugins.conformance.commands import CHECKS as COMMAND_CHECKS
from defectscope.plugins.conformance.runner import (
    check_defect_type,
    check_summary,
    check_weights,
)
from defectscope.plugins.conformance.samples import sample_frame, sample_instances
from defectscope.plugins.host import PluginHost
from defectscope.plugins.markers import PROJECT
from defectscope.plugins.records import BASES, FAMILIES, PluginRecord

if TYPE_CHECKING:
    from defectscope.core.findings import Tables
    from defectscope.core.frames import Frame
    from defectscope.core.instances import Instances

__all__ = [
    "AnalysisConformance",
    "BackgroundConformance",
    "CommandConformance",
    "DefectTypeConformance",
    "DetectorConformance",
    "FormatConformance",
    "GeneratorConformance",
    "PluginConformance",
    "PostProcessorConformance",
    "ReaderConformance",
    "TrackerConformance",
    "WeightsConformance",
    "defectscope_frame",
    "defectscope_host",
    "defectscope_instances",
    "defectscope_tables",
    "isolated_host",
    "register",
    "sample_frame",
    "sample_instances",
    "sample_tables",
]


def isolated_host(*plugins: object) -> PluginHost:
    """Return a host that knows the shipped defect types and `plugins`, whatever is installed.

    Parameters
    ----------
    plugins
        Modules (or other objects) with hooks; shipped ones belong to ``defectscope``.
    """
    host = PluginHost(entry_points=())
    if shipped_types not in plugins:
        register(host, shipped_types, "defect-types", "defectscope")
    for plugin in plugins:
        if getattr(plugin, "__name__", "").startswith(f"{PROJECT}."):
            register(host, plugin, distribution=PROJECT)
        else:
            register(host, plugin)
    return host


def sample_tables(
    *, frames: bool = True, rows: bool = True, measured: bool = True, tracked: bool = True
) -> Tables:
    """Return the tables of a small run.

    Parameters
    ----------
    frames, rows
        Whether there are any frames, and whether anything was found in them.
    measured, tracked
        Whether a post-processor and a tracker ran.
    """
    # Here, because a detector's tests need not wait for pandas.
    from defectscope.plugins.conformance import tables

    return tables.sample_tables(frames=frames, rows=rows, measured=measured, tracked=tracked)


def register(
    host: PluginHost,
    plugin: object,
    name: str | None = None,
    distribution: str = "test-distribution",
    version: str = "0",
) -> PluginRecord:
    """Register a plugin object under a made-up distribution, and return its record.

    Raises
    ------
    PluginLoadError
        A hook is unknown, or returns something else than its specification says.
    """
    module = getattr(plugin, "__name__", type(plugin).__name__)
    record = PluginRecord(name or module, distribution, version, module)
    host.register(plugin, record)
    return record


@functools.cache
def _runtime(plugin: str | None) -> Runtime:
    """Return what a component is given: sample types, and the weights that it may name."""
    host = PluginHost(allowed=())  # the shipped plugins
    types = dict(SAMPLE_TYPES)
    if plugin is not None:
        register(host, importlib.import_module(plugin))
        types |= host.defect_types()
    return Runtime(defect_types=types, weights=host.weights())


class _Conformance:
    """One test for each check of a family.

    Attributes
    ----------
    component
        The class that is tested.
    options
        Option values, where it cannot work with its defaults.
    spec
        What the hook returns for it; readers and formats have a check that needs it.
    plugin
        Dotted name of a plugin module, whose weights and defect types the component may name
        beside the shipped ones.
    """

    family: ClassVar[str]
    component: ClassVar[type[Any]]
    options: ClassVar[Mapping[str, Any]] = {}
    spec: ClassVar[ComponentSpec | None] = None
    plugin: ClassVar[str | None] = None

    def example_file(self, folder: Path) -> Path | None:
        """Return a file that a reader must be able to read, written into `folder`; or None."""
        return None

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Give ``test_conformance`` every check of the family."""
        if "conformance_check" in metafunc.fixturenames:
            checks = checks_of(self.family, getattr(self, "component", None))
            names = [check.__name__.removeprefix("check_") for check in checks]
            metafunc.parametrize("conformance_check", checks, ids=names)

    def test_conformance(self, conformance_check: Check, tmp_path: Path) -> None:
        """The component keeps what its family promises."""
        example = self.example_file(tmp_path)
        setup = Setup(self.options, self.spec, _runtime(self.plugin), example)
        try:
            conformance_check(self.component, setup)
        except (NotCheckedError, MissingPackageError) as reason:
            pytest.skip(str(reason))


class BackgroundConformance(_Conformance):
    """Tests of a :class:`defectscope.Background`."""

    family = "backgrounds"


class GeneratorConformance(_Conformance):
    """Tests of a :class:`defectscope.Generator`."""

    family = "generators"


class DetectorConformance(_Conformance):
    """Tests of a :class:`defectscope.Detector`, and of the training of one that can be trained."""

    family = "detectors"


class PostProcessorConformance(_Conformance):
    """Tests of a :class:`defectscope.PostProcessor`."""

    family = "postprocessors"


class TrackerConformance(_Conformance):
    """Tests of a :class:`defectscope.Tracker`."""

    family = "trackers"


class AnalysisConformance(_Conformance):
    """Tests of a :class:`defectscope.Analysis`."""

    family = "analyses"


class ReaderConformance(_Conformance):
    """Tests of a :class:`defectscope.Reader`; override ``example_file`` to test reading."""

    family = "readers"


class FormatConformance(_Conformance):
    """Tests of a :class:`defectscope.AnnotationFormat`."""

    family = "formats"


class DefectTypeConformance:
    """Tests of a :class:`defectscope.DefectType`; set ``defect_type``."""

    family: ClassVar[str] = "defect-types"
    defect_type: ClassVar[DefectType]

    def test_conformance(self) -> None:
        """It has a name and a title of one line each, and survives pickling."""
        check_defect_type(self.defect_type)


class WeightsConformance:
    """Tests of named weights; set ``spec`` to what the hook returns for them."""

    family: ClassVar[str] = "weights"
    spec: ClassVar[ComponentSpec]

    def test_summary(self) -> None:
        """The summary is one line."""
        check_summary(self.spec)

    def test_conformance(self) -> None:
        """The function returns the path of a file that is safe to read."""
        check_weights(self.spec)


class CommandConformance:
    """Tests of a command; set ``plugin`` to the plugin's module, ``command`` to its name."""

    family: ClassVar[str] = "commands"
    plugin: ClassVar[str]
    command: ClassVar[str]

    @pytest.mark.parametrize(
        "conformance_check",
        COMMAND_CHECKS,
        ids=[check.__name__.removeprefix("check_") for check in COMMAND_CHECKS],
    )
    def test_conformance(self, conformance_check: Callable[[PluginHost, str], None]) -> None:
        """The command keeps what the command line promises."""
        host = isolated_host(importlib.import_module(self.plugin))
        conformance_check(host, self.command)


class PluginConformance:
    """Tests of a plugin module: the one that the entry point names.

    Attributes
    ----------
    plugin
        Dotted name of the module.
    options
        Option values by name of component, for those that cannot work with their defaults.
    """

    plugin: ClassVar[str]
    options: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    @pytest.fixture
    def module(self) -> ModuleType:
        """The plugin module."""
        return importlib.import_module(self.plugin)

    def test_registers(self, module: ModuleType) -> None:
        """Every hook exists and returns what it should."""
        assert isolated_host(module).plugins[-1].status == "loaded"

    def test_every_target_loads(self, module: ModuleType) -> None:
        """What the hooks name can be imported, and is of its family."""
        host = isolated_host(module)
        for family in BASES:
            for entry in host.registered(family):
                host.load_class(entry)

    def test_everything_conforms(self, module: ModuleType) -> None:
        """What ``defectscope plugins check`` looks at is in order."""
        host = isolated_host(module)
        failed = [
            f"{entry.name} ({family}): {result.title}: {result.message}"
            for family in FAMILIES
            for entry in host.registered(family)
            if entry.plugin is host.plugins[-1]
            for result in _checked(host, family, entry.name, self.options.get(entry.name))
            if result.status == "failed"
        ]
        assert not failed, "\n".join(failed)

    def test_import_is_light(self) -> None:
        """The module is imported by every command, so it must load no heavy package."""
        check_import_cost(self.plugin)


def _checked(
    host: PluginHost, family: str, name: str, options: Mapping[str, Any] | None
) -> list[CheckResult]:
    try:
        return check_component(host, family, name, options)
    except MissingPackageError:
        return []  # skipped, as by the conformance class of its family


@pytest.fixture
def defectscope_host() -> PluginHost:
    """A host that discovers nothing by itself, and knows the shipped defect types."""
    return isolated_host()


@pytest.fixture
def defectscope_frame() -> Frame:
    """A frame of 96 x 64 px with dark discs and two dark lines."""
    return sample_frame()


@pytest.fixture
def defectscope_instances() -> Instances:
    """What that frame shows: boxes and masks of loops and lines."""
    return sample_instances((64, 96))


@pytest.fixture
def defectscope_tables() -> Tables:
    """The tables of a small run, measured and tracked."""
    return sample_tables()
