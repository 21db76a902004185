"""Every hook's docstring holds a complete plugin: it is run here as one."""

from __future__ import annotations

import inspect
import sys
import textwrap
from types import ModuleType

import click
import numpy as np
import pytest
from click.testing import CliRunner

from defectscope import UnknownNameError
from defectscope.plugins import hookspecs
from defectscope.plugins.conformance import Setup, check_component, run_check
from defectscope.plugins.conformance.readers import check_reads_the_example
from defectscope.plugins.host import FAMILIES, PluginHost
from defectscope.plugins.testing import isolated_host

HOOKS = [name for name in vars(hookspecs) if name.startswith("defectscope_")]


def example_of(hook: str) -> str:
    text = inspect.getdoc(getattr(hookspecs, hook)) or ""
    _, found, code = text.partition("Examples\n--------\n::\n")
    assert found, f"{hook} has no section Examples with a code block"
    return textwrap.dedent(code)


@pytest.fixture
def plugin(request, monkeypatch, tmp_path):
    """The example of a hook as the module ``my_package.plugin``, which its targets name."""
    path = tmp_path / "plugin.py"
    path.write_text(example_of(request.param))
    package, module = ModuleType("my_package"), ModuleType("my_package.plugin")
    module.__file__ = str(path)
    monkeypatch.setitem(sys.modules, "my_package", package)
    monkeypatch.setitem(sys.modules, "my_package.plugin", module)
    exec(compile(path.read_text(), path, "exec"), vars(module))
    return module


def added(host: PluginHost):
    return [
        entry
        for family in FAMILIES
        for entry in host.registered(family)
        if entry.plugin is host.plugins[-1]
    ]


def test_every_family_has_a_hook_and_every_hook_a_family():
    assert {*FAMILIES.values(), "defectscope_commands"} == set(HOOKS)


@pytest.mark.parametrize("plugin", HOOKS, indirect=True, ids=HOOKS)
def test_registers(plugin):
    host = isolated_host(plugin)
    assert host.plugins[-1].status == "loaded"
    assert len(host.plugins[-1].hooks) == 1


COMPONENT_HOOKS = [hook for hook in HOOKS if hook != "defectscope_commands"]


@pytest.mark.parametrize("plugin", COMPONENT_HOOKS, indirect=True, ids=COMPONENT_HOOKS)
def test_conforms(plugin, tmp_path):
    (tmp_path / "cavities-small.safetensors").touch()
    host = isolated_host(plugin)
    entries = added(host)
    assert entries
    for entry in entries:
        results = check_component(host, entry.family, entry.name)
        assert any(result.status == "passed" for result in results)
        assert not [result for result in results if result.status in ("failed", "warning")]


@pytest.mark.parametrize("plugin", ["defectscope_readers"], indirect=True)
def test_reader_reads(plugin, tmp_path):
    path = tmp_path / "frame.npy"
    np.save(path, np.random.default_rng(0).random((20, 30)))
    result = run_check(check_reads_the_example, plugin.Npy, Setup(example=path))
    assert result.status == "passed", result.message


@pytest.mark.parametrize("plugin", ["defectscope_commands"], indirect=True)
def test_command_works(plugin):
    cli = click.Group("defectscope")
    isolated_host(plugin).add_commands(cli)
    assert CliRunner().invoke(cli, ["greet", "world"]).output == "Hello world\n"


def test_isolated_host_knows_nothing_else():
    with pytest.raises(UnknownNameError, match="installed are: none"):
        isolated_host().find("detectors", "dark-blobs")
