from __future__ import annotations

import sys

import pytest

from defectscope.core.components import ComponentSpec, FormatSpec, ReaderSpec
from defectscope.core.errors import MissingPackageError, PluginLoadError


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Return a function that writes an importable module with the given source."""
    monkeypatch.syspath_prepend(tmp_path)
    made = []

    def write(name, source):
        (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
        made.append(name)
        return name

    yield write
    for name in made:
        sys.modules.pop(name, None)


def spec(target, **more):
    return ComponentSpec("dark-blobs", "Finds dark blobs.", target, **more)


class TestConstruction:
    @pytest.mark.parametrize("name", ["trackpy", "dark-blobs", "yolov3", "m1", "a-1-b"])
    def test_kebab_case(self, name):
        assert ComponentSpec(name, "x", "a.b:C").name == name

    @pytest.mark.parametrize(
        "name", ["", "Dark", "dark_blobs", "dark--blobs", "-dark", "dark-", "dark blobs", "é", None]
    )
    def test_other_names_are_refused(self, name):
        with pytest.raises(ValueError, match="must be kebab-case") as caught:
            ComponentSpec(name, "x", "a.b:C")
        assert f"found {name!r}" in str(caught.value)

    @pytest.mark.parametrize("summary", ["", "  ", None])
    def test_a_summary_is_needed(self, summary):
        with pytest.raises(ValueError, match="component 'a' needs a summary of one line"):
            ComponentSpec("a", summary, "a.b:C")

    @pytest.mark.parametrize("target", ["", "a.b", "a.b:", ":C", "a.b:C.D", "1a:C", "a b:C", None])
    def test_a_target_has_a_module_and_a_name(self, target):
        with pytest.raises(ValueError, match=r"needs a target like 'package\.module:Class'"):
            ComponentSpec("a", "x", target)

    def test_readers_and_formats_say_more(self):
        assert ReaderSpec("tiff", "x", "a:B", suffixes=(".tif",)).suffixes == (".tif",)
        assert FormatSpec("coco", "x", "a:B").writes
        assert not FormatSpec("results", "x", "a:B", writes=False).writes
        with pytest.raises(ValueError, match="kebab-case"):
            ReaderSpec("TIFF", "x", "a:B")


class TestLoading:
    def test_the_class_behind_the_target(self, module):
        name = module("defectscope_blobs_ok", "class Blobs: pass")
        loaded = spec(f"{name}:Blobs").load()
        assert loaded is sys.modules[name].Blobs

    def test_making_a_spec_imports_nothing(self, module):
        name = module("defectscope_blobs_lazy", "class Blobs: pass")
        spec(f"{name}:Blobs")
        assert name not in sys.modules

    def test_a_module_that_is_not_there(self):
        with pytest.raises(PluginLoadError, match="'dark-blobs' could not be imported from no_mod"):
            spec("no_mod.blobs:Blobs").load()

    def test_a_module_of_the_plugin_itself_is_no_missing_extra(self):
        with pytest.raises(PluginLoadError, match="could not be imported from no_mod"):
            spec("no_mod.blobs:Blobs", extra="torch").load()

    def test_a_missing_package_of_an_extra_says_how_to_install_it(self, module):
        name = module("defectscope_blobs_extra", "import no_such_package.part")
        with pytest.raises(MissingPackageError) as caught:
            spec(f"{name}:Blobs", extra="torch").load()
        assert "'dark-blobs' needs the package no_such_package," in str(caught.value)
        assert "defectscope[torch]" in str(caught.value)

    def test_without_an_extra_it_is_the_plugins_fault(self, module):
        name = module("defectscope_blobs_forgot", "import no_such_package")
        with pytest.raises(PluginLoadError, match="No module named 'no_such_package'"):
            spec(f"{name}:Blobs").load()

    def test_a_missing_module_without_a_name(self, module):
        name = module("defectscope_blobs_bare", "raise ModuleNotFoundError('no driver')")
        with pytest.raises(PluginLoadError, match="no driver"):
            spec(f"{name}:Blobs", extra="torch").load()

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            ("1 / 0", "ZeroDivisionError: division by zero"),
            ("def broken(:", "SyntaxError: "),
            ("from math import no_such_name", "ImportError: cannot import name"),
        ],
    )
    def test_any_other_failure_is_told_with_its_kind(self, module, source, message):
        name = module("defectscope_blobs_broken", source)
        with pytest.raises(PluginLoadError, match=f"from {name}: {message}"):
            spec(f"{name}:Blobs").load()

    def test_a_name_that_the_module_lacks(self, module):
        name = module("defectscope_blobs_other", "class Other: pass")
        with pytest.raises(PluginLoadError, match=f"names {name}:Blobs, but {name} has no 'Blobs'"):
            spec(f"{name}:Blobs").load()
