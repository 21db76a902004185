"""What README and user guide show is run, in the order in which it stands there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import av
import cv2
import numpy as np
import pandas as pd
import pytest
import tifffile
from click.testing import CliRunner

from defectscope.cli.main import cli
from defectscope.core.datasets import Dataset, LabelledImage
from defectscope.pipeline.labels import save_dataset
from defectscope.plugins.host import default_host

ROOT = Path(__file__).parents[1]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(document):
    """Return (language, text) of every code block."""
    return BLOCK.findall((ROOT / document).read_text(encoding="utf-8"))


def commands(text):
    """Return the command lines of a console block, with continued lines joined."""
    return [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def shell(line, folder, quick=False, **more):
    """Run one command line of the documentation, or check that make knows it.

    With `quick` in this process, which need not import everything again.
    """
    words = shlex.split(line)
    if words[0] == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert set(words[1:]) <= set(targets), line
        return
    if words[:2] == ["pip", "install"]:
        extras = re.findall(r"\[(\w+)\]", line)
        assert set(extras) <= set(EXTRAS), line
        return
    assert words[0] == "defectscope", line
    if quick and not {"--watch", "--workers"} & set(words):
        result = CliRunner().invoke(cli, words[1:])
        assert result.exit_code == 0, f"{line}\n{result.output}\n{result.exception!r}"
        return
    done = subprocess.run(
        [sys.executable, "-m", "defectscope", *words[1:]],
        cwd=folder, capture_output=True, text=True, check=False, timeout=300, **more,
    )  # fmt: skip
    assert done.returncode == 0, f"{line}\n{done.stderr}"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    """A folder with every file that the documentation names."""
    folder = tmp_path_factory.mktemp("docs")
    rng = np.random.default_rng(5)
    host = default_host()
    canvas, _ = host.build("backgrounds", "texture").render((308, 408), rng)
    sequence = list(host.build("generators", "in-situ-loops").sequence(canvas, rng, 6))
    images = []
    for name in ("frames", "more", "labels/images"):
        (folder / name).mkdir(parents=True)
    for index, (pixels, truth) in enumerate(sequence, start=461):
        grey = np.round(255 * pixels).astype(np.uint8)
        for place in ("frames", "labels/images"):
            cv2.imwrite(str(folder / place / f"Frame{index}.png"), grey)
        images.append(LabelledImage(f"images/Frame{index}.png", truth, index))
    save_dataset(Dataset(images, folder / "labels"), folder / "labels", "coco", host)
    small = [np.round(255 * p[:160, :208]).astype(np.uint8) for p, _ in sequence]
    tifffile.imwrite(folder / "image.tif", small[0])
    tifffile.imwrite(folder / "video.tif", np.stack(small))
    planes = np.stack([small[k] for k in range(6)] * 2).reshape(2, 3, 2, 160, 208)
    tifffile.imwrite(folder / "hyper.tif", planes, imagej=True, metadata={"axes": "TZCYX"})
    cv2.imwrite(str(folder / "more" / "a.png"), small[1])
    with av.open(str(folder / "video.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 208, 160, "yuv420p"
        for grey in small:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="gray8")))
        container.mux(stream.encode())
    _write_mrc(folder / "series.mrc", np.stack(small))
    rows = [(f, 10.0 + 30 * k + 0.3 * f, 20.0 + 5 * k) for f in range(8) for k in range(4)]
    pd.DataFrame(rows, columns=["frame", "x", "y"]).to_csv(folder / "positions.csv", index=False)
    header = " ,Label,X,Y,Major,Minor,Angle\n"
    (folder / "Results.csv").write_text(header + "1,image.tif,50,60,20,12,30\n")
    shutil.copy(folder / "image.tif", folder / "labels")
    return folder


def _write_mrc(path, stack):
    """Write an MRC2014 stack of 16-bit frames with 0.4 nm/px."""
    pytest.importorskip("rsciio", reason="the extra microscope is not installed")
    count, height, width = stack.shape
    header = np.zeros(256, "<i4")
    header[[0, 1, 2, 3, 7, 8, 9]] = width, height, count, 6, width, height, count
    header[10:13] = np.array([4.0 * width, 4.0 * height, 4.0 * count], "<f4").view("<i4")
    header[16:19] = 1, 2, 3
    header[52:54] = np.frombuffer(b"MAP \x44\x44\x00\x00", "<i4")
    path.write_bytes(header.tobytes() + stack.astype("<u2").tobytes())


def undrawn(figure, target, **_):
    """Write a file in place of a figure."""
    target.write(b"-") if hasattr(target, "write") else Path(target).write_bytes(b"-")


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        "docs/first-steps.md",
        pytest.param("docs/user-guide.md", marks=pytest.mark.slow),
        "docs/generators.md",
        "docs/lines.md",
    ],
)
def test_the_documentation_runs(document, sandbox, tmp_path, monkeypatch):
    # From top to bottom, with nothing that another document left.
    place = tmp_path / "place"
    shutil.copytree(sandbox, place)
    monkeypatch.chdir(place)
    if document.startswith("docs/"):
        # Dozens of figures, which other tests look at, would take most of the time.
        monkeypatch.setattr("matplotlib.figure.Figure.savefig", undrawn)
    names: dict[str, object] = {"__name__": "__main__"}
    for language, text in blocks(document):
        if language == "console":
            for line in commands(text):
                shell(line, place, quick=document.startswith("docs/"))
        elif language == "toml" and "pixel_size_nm" in text:
            (place / "scope.toml").write_text(text)
        elif language == "python" and not text.startswith("#"):
            exec(compile(text, document, "exec"), names)


@pytest.mark.slow
def test_the_training_guide_runs(sandbox, monkeypatch):
    pytest.importorskip("torch", reason="training needs the extra torch")
    monkeypatch.chdir(sandbox)
    for language, text in blocks("docs/training.md"):
        if language == "toml":
            (sandbox / text.splitlines()[0].removeprefix("# ")).write_text(text)
        elif language == "console":
            for line in commands(text):
                shell(line, sandbox)
        elif language == "python":
            shell_python(text, sandbox)
    assert (sandbox / "dots-curves.png").is_file()


def shell_python(text, folder):
    """Run Python in a process of its own: Lightning warns of much that concerns it alone."""
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=folder, capture_output=True, text=True, check=False,
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "document", ["README.md", *(f"docs/{path.name}" for path in sorted(ROOT.glob("docs/*.md")))]
)
def test_a_page_that_imports_what_may_change_says_so(document):
    imported = {
        module
        for language, text in blocks(document)
        if language == "python"
        for module in re.findall(r"^(?:from|import) (defectscope\.\S+)", text, re.MULTILINE)
    }
    text = (ROOT / document).read_text(encoding="utf-8")
    if imported - {"defectscope.plugins.testing"}:
        assert "(contract.md#from-python)" in text


def test_the_readme_names_every_extra():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.partition("\n## Extras\n")[2].partition("\n## ")[0]
    told = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", section, re.MULTILINE))
    assert set(told) == set(EXTRAS)
    (everything,) = EXTRAS["all"]
    named = re.findall(r"`(\w+)`", told["all"])
    assert everything == f"defectscope[{','.join(named)}]"
    for extra in set(EXTRAS) - {"dev", "all"}:
        row = f"{extra} {told[extra]}".lower()
        for requirement in EXTRAS[extra]:
            assert re.match(r"[\w-]+", requirement)[0] in row


def test_the_plugin_in_the_readme_works(sandbox, tmp_path):
    found = {text.splitlines()[0].removeprefix("# "): text for _, text in blocks("README.md")}
    (tmp_path / "brightest.py").write_text(found["brightest.py"])
    project = tomllib.loads(found["pyproject.toml"])["project"]
    info = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    points = project["entry-points"]["defectscope"]
    lines = ["[defectscope]", *(f"{name} = {value}" for name, value in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    shell("defectscope plugins check brightest", sandbox, env=environment)
    shell("defectscope run image.tif --detector brightest --out bright", sandbox, env=environment)
    assert len(pd.read_parquet(sandbox / "bright" / "detections.parquet")) == 1


PAGES = ["benchmarks/README.md", *(f"docs/{path.name}" for path in sorted(ROOT.glob("docs/*.md")))]


@pytest.mark.parametrize("document", PAGES)
def test_a_page_that_speaks_of_the_papers_leads_to_them(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    if document != "docs/references.md" and re.search(r"\bP[123]\b", text):
        assert "references.md)" in text


def test_what_is_cited_by_name_and_year_is_among_the_references():
    listed = (ROOT / "docs" / "references.md").read_text(encoding="utf-8")
    cited = re.compile(r"([A-Z][\w-]+)(?: et al\.| & [A-Z]\w+)?,? \(?((?:19|20)\d\d)\b")
    found = cited.findall((ROOT / "docs" / "analysis.md").read_text(encoding="utf-8"))
    assert len(found) > 10
    for name, year in found:
        entries = [e for e in re.split(r"\n- |; ", listed) if name in e]
        assert any(year in entry for entry in entries), f"{name} {year}"


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", *PAGES])
def test_links_lead_to_what_is_there(document):
    page = ROOT / document
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    for link in links:
        path, _, anchor = link.partition("#")
        if "://" in path:
            continue
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor:
            titles = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {
                re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles
            }, link


def test_make_knows_what_contributors_are_told():
    for language, text in blocks("CONTRIBUTING.md"):
        assert language == "console"
        for line in commands(text):
            shell(line, ROOT)
