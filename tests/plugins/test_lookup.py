"""Names of components: what they stand for, and where two clash."""

from __future__ import annotations

import textwrap

import pytest

import defectscope as ds
from defectscope.plugins.host import PluginHost


def test_unknown_name_suggests_the_nearest(site):
    site.install("sound", site.detector("dark-blobs"))
    site.install("wrecked", "import a_package_that_is_not_there")
    host = site.host(blocked=[])
    with pytest.raises(ds.UnknownNameError) as caught:
        host.find("detectors", "dark-blob")
    assert str(caught.value) == (
        "there is no detector 'dark-blob' (did you mean 'dark-blobs'?); installed are: dark-blobs "
        "(plugins failed to load: 1; see 'defectscope plugins list')"
    )
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("family", "word"),
    [
        ("analyses", "analysis"),
        ("defect-types", "defect type"),
        ("postprocessors", "post-processor"),
        ("weights", "set of weights"),
    ],
)
def test_families_in_messages(family, word):
    with pytest.raises(ds.UnknownNameError, match=f"there is no {word} 'x'; installed are: none"):
        PluginHost(entry_points=()).find(family, "x")


def test_one_name_in_two_distributions(site):
    site.install("Alpha_Lab", site.detector("same"), version="1.2")
    site.install("beta", site.detector("same"))
    site.install("gamma", site.detector("other"))
    host = site.host()
    with pytest.raises(ds.PluginClashError) as caught:
        host.find("detectors", "same")
    assert str(caught.value) == (
        "detector 'same' is offered by Alpha_Lab 1.2 (plugin 'Alpha_Lab') and beta 1.0 (plugin "
        "'beta'); write Alpha_Lab/same or beta/same, or leave one out with --no-plugin Alpha_Lab "
        "or --no-plugin beta"
    )
    assert host.find("detectors", "other").plugin.distribution == "gamma"
    for name in ("beta/same", "Beta/same"):
        assert host.find("detectors", name).plugin.distribution == "beta"
    assert host.find("detectors", "alpha-lab/same").plugin.version == "1.2"
    with pytest.raises(ds.UnknownNameError, match="no detector 'delta/same'"):
        host.find("detectors", "delta/same")
    assert [[e.qualified for e in group] for group in host.clashes()] == [
        ["Alpha_Lab/same", "beta/same"]
    ]
    assert site.host(blocked=["beta"]).find("detectors", "same").plugin.name == "Alpha_Lab"


def test_nobody_is_told_to_leave_the_shipped_ones_out(site):
    site.install("alpha", site.detector("heatmap"))
    site.install("defectscope", site.detector("heatmap"))
    with pytest.raises(ds.PluginClashError) as caught:
        site.host().find("detectors", "heatmap")
    assert str(caught.value).endswith(
        "; write defectscope/heatmap or alpha/heatmap, or leave out the other with "
        "--no-plugin alpha"
    )


def test_one_name_twice_in_a_distribution(site):
    info = site.install("twins", site.detector("same"))
    site.install("helper", site.detector("other"))
    code = (site.folder / "twins_plugin.py").read_text()
    (site.folder / "twins_second.py").write_text(code)
    site.modules.append("twins_second")
    (info / "entry_points.txt").write_text(
        "[defectscope]\nleft = twins_plugin\nright = twins_second\n"
    )
    with pytest.raises(
        ds.PluginClashError, match="--no-plugin left or --no-plugin right"
    ) as caught:
        site.host().find("detectors", "same")
    assert "write" not in str(caught.value)
    assert site.host(blocked=["left"]).find("detectors", "same").plugin.name == "right"


TYPES = """
from defectscope import DefectType, hookimpl

@hookimpl
def defectscope_defect_types():
    return [DefectType("cavity", "Cavity", "ellipse", colour="{colour}"),
            DefectType("a/2 {colour}", "A", "line")]
"""


def test_defect_types_may_agree_but_not_differ(site):
    site.install("one", TYPES.replace("{colour}", "#000000"))
    site.install("two", TYPES.replace("{colour}", "#000000"))
    host = site.host()
    assert set(host.defect_types()) == {"cavity", "a/2 #000000"}
    assert host.find("defect-types", "cavity").plugin.distribution == "one"
    assert host.find("defect-types", "two/a/2 #000000").plugin.distribution == "two"
    assert host.clashes() == []
    site.install("three", TYPES.replace("{colour}", "#ffffff"))
    host = site.host()
    assert "cavity" not in host.defect_types()
    with pytest.raises(ds.PluginClashError, match="defect type 'cavity' is offered by") as caught:
        host.find("defect-types", "cavity")
    assert str(caught.value).endswith(
        "they define it differently; leave one out with --no-plugin one or --no-plugin three or "
        "--no-plugin two"
    )
    assert host.runtime().clashing_types == {"cavity": str(caught.value)}


def test_declared_types_need_one_meaning(site):
    site.install("one", TYPES.replace("{colour}", "#000000"))
    site.install("two", TYPES.replace("{colour}", "#ffffff"))
    host = site.host()
    assert host.expect_types(["a/2 #000000"]) == []
    (said,) = host.expect_types(["void", "a/2 #000000", "void"])
    assert said.startswith("the defect type 'void' is registered by no plugin: it is measured by")
    with pytest.raises(ds.PluginClashError, match=r"'cavity' is offered by one 1\.0 .* and two"):
        host.expect_types(["void", "cavity"])
    assert "plugins blocked: 1" in site.host(blocked=["two"]).expect_types(["void"])[0]


def test_find_anywhere(site):
    trackers = """
    @ds.hookimpl
    def defectscope_trackers():
        return [ds.ComponentSpec("same", "Links nothing.", "{module}:Tracker")]
    """
    site.install("both", site.detector("same") + textwrap.dedent(trackers))
    site.install("single", site.detector("single"))
    host = site.host()
    assert host.find_anywhere("single").family == "detectors"
    assert host.find_anywhere("same", "trackers").family == "trackers"
    with pytest.raises(ds.UsageError, match="--family detectors or --family trackers"):
        host.find_anywhere("same")
    with pytest.raises(ds.UnknownNameError, match=r"called 'singel' \(did you mean 'single'"):
        host.find_anywhere("singel")
    with pytest.raises(ds.UsageError, match=r"no family 'detector' \(did you mean 'detectors'"):
        host.find_anywhere("single", "detector")
    with pytest.raises(ds.UnknownNameError, match=r"no family 'detector' .*are: defect-types, re"):
        host.build("detector", "single")
