"""Tests for plugin authors: subclass one class, and pytest checks the whole contract.

::

    from defectscope.plugins.testing import DetectorConformance
    from my_package.plugin import Darkest

    class TestDarkest(DetectorConformance):
        component = Darkest
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest

from defectscope.core.components import ComponentSpec
from defectscope.core.errors import MissingPackageError
from defectscope.plugins import shipped_types
from defectscope.plugins.conformance import (
    Check,
    NotCheckedError,
    Setup,
    check_import_cost,
    checks_of,
)
from defectscope.plugins.host import PluginHost
from defectscope.plugins.records import BASES, PluginRecord

__all__ = [
    "AnalysisConformance",
    "BackgroundConformance",
    "DetectorConformance",
    "FormatConformance",
    "GeneratorConformance",
    "PluginConformance",
    "PostProcessorConformance",
    "ReaderConformance",
    "TrackerConformance",
    "isolated_host",
    "register",
]


def isolated_host(*plugins: object) -> PluginHost:
    """Return a host that knows the shipped defect types and `plugins`, whatever is installed.

    Parameters
    ----------
    plugins
        Modules (or other objects) with hooks.
    """
    host = PluginHost(entry_points=())
    if shipped_types not in plugins:
        register(host, shipped_types, "defect-types", "defectscope")
    for plugin in plugins:
        register(host, plugin)
    return host


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
    """

    family: ClassVar[str]
    component: ClassVar[type[Any]]
    options: ClassVar[Mapping[str, Any]] = {}
    spec: ClassVar[ComponentSpec | None] = None

    def example_file(self, folder: Path) -> Path | None:
        """Return a file that a reader must be able to read, written into `folder`; or None."""
        return None

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Give ``test_conformance`` every check of the family."""
        if "conformance_check" in metafunc.fixturenames:
            checks = checks_of(self.family)
            names = [check.__name__.removeprefix("check_") for check in checks]
            metafunc.parametrize("conformance_check", checks, ids=names)

    def test_conformance(self, conformance_check: Check, tmp_path: Path) -> None:
        """The component keeps what its family promises."""
        setup = Setup(self.options, self.spec, example=self.example_file(tmp_path))
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
    """Tests of a :class:`defectscope.Detector`."""

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


class PluginConformance:
    """Tests of a plugin module: the one that the entry point names.

    Attributes
    ----------
    plugin
        Dotted name of the module.
    """

    plugin: ClassVar[str]

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

    def test_import_is_light(self) -> None:
        """The module is imported by every command, so it must load no heavy package."""
        check_import_cost(self.plugin)
