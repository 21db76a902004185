"""Make the pictures of docs/generators.md anew: python docs/make_generator_figures.py [--out DIR].

Everything is synthetic and follows from seeds. Where the generators work on images of a user
(``images``, ``twin``), synthetic ones stand in for them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from matplotlib.figure import Figure

from defectscope.analysis.profile_comparison import compare_profiles
from defectscope.analysis.profile_figure import profile_figure
from defectscope.core.geometry.splines import spline_through
from defectscope.generators.dislocations import Dislocations, DislocationsOptions
from defectscope.generators.line_contrast import CONTRASTS
from defectscope.generators.microstructure import PRESETS
from defectscope.generators.perlin_background import perlin_image
from defectscope.generators.pileups import PileUpRules, draw_pileup
from defectscope.pipeline.contact_sheet import draw_truth
from defectscope.plugins.host import default_host

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from defectscope import Instances

FOLDER = Path(__file__).parent / "images" / "generators"
LARGEST_BYTES = 120_000
SIDE_PX = 384
# Rows of the figure of stages: wavelengths, weights of Perlin and white noise, last filter.
STAGE_ROWS = (
    (100.0, 30.0, 0.3, 0.6, 0.7),
    (60.0, 15.0, 0.2, 0.5, 0.8),
    (25.0, 70.0, 0.4, 0.7, 0.6),
    (12.0, 10.0, 0.3, 0.5, 0.6),
)
COLOURS = {"m1": "#0072b2", "m2": "#e69f00"}
# The truth of up to this many images is shown in the histograms.
HISTOGRAM_IMAGES = 600


def rng(seed: int) -> np.random.Generator:
    """Return the source of all that is drawn for a seed."""
    return np.random.default_rng(seed)


def background(
    name: str, seed: int, shape: tuple[int, int] = (SIDE_PX, SIDE_PX), **options: Any
) -> Any:
    """Return the pixels of a background."""
    with default_host().build("backgrounds", name, options) as component:
        return component.render(shape, rng(seed))[0]


def drawn(canvas: Any, name: str, seed: int, **options: Any) -> tuple[Any, Instances]:
    """Return a copy of a canvas with defects, and their truth."""
    pixels = canvas.copy()
    with default_host().build("generators", name, options) as component:
        truth = component.draw(pixels, rng(seed))
    return np.clip(pixels, 0, 1), truth


def grey(pixels: Any) -> NDArray[np.uint8]:
    """Return 8-bit grey values as they are: 0 is black and 1 white."""
    return np.round(255 * np.clip(pixels, 0, 1)).astype(np.uint8)


def beside(pixels: Any, truth: Instances) -> NDArray[np.uint8]:
    """Return an image beside itself with its truth, RGB."""
    return np.hstack([with_truth(pixels, truth[:0]), with_truth(pixels, truth)])


def with_truth(pixels: Any, truth: Instances) -> NDArray[np.uint8]:
    """Return an image with its truth in the colours of the defect types, RGB."""
    return draw_truth(grey(pixels), truth, default_host().defect_types())


def tiled(rows: list[list[Any]], gap: int = 6) -> NDArray[np.uint8]:
    """Return pictures of one size in rows and columns, RGB on white."""
    height, width = rows[0][0].shape[:2]
    many = max(len(row) for row in rows)
    sheet = np.full(
        (len(rows) * (height + gap) - gap, many * (width + gap) - gap, 3), 255, np.uint8
    )
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            colour = picture if picture.ndim == 3 else np.stack([picture] * 3, axis=2)
            sheet[
                i * (height + gap) : i * (height + gap) + height,
                j * (width + gap) : j * (width + gap) + width,
            ] = colour
    return sheet


def picture_of(figure: Figure, width_px: int) -> NDArray[np.uint8]:
    """Return a figure as pixels, RGB."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(width_px / figure.get_size_inches()[0])
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def stages() -> NDArray[np.uint8]:
    """Stages of the Perlin background (P1, Fig. 2)."""
    names = {"P1": "P1 (λ1)", "P2": "P2 (λ2)", "P3*": "P3* (eq. 2)", "P4": "P4 (eq. 3)",
             "P5": "P5 (eq. 4)", "P6": "P6 (eq. 5)", "P7": "P7, clipped"}  # fmt: skip
    figure = Figure(figsize=(11, 6.6), layout="constrained")
    panels = figure.subplots(len(STAGE_ROWS), len(names))
    for number, (values, row) in enumerate(zip(STAGE_ROWS, panels, strict=True)):
        parameters = {
            "wavelength_1_px": values[0], "wavelength_2_px": values[1],
            "origin_1_cells": [3.3 + number, 5.1], "origin_2_cells": [40.2, 7.7 + number],
            "perlin_weight": values[2], "white_weight": values[3], "white_seed_1": number,
            "smoothing_1_px": 1.0, "r_noise": None, "white_seed_2": 10 + number,
            "smoothing_2_px": values[4],
        }  # fmt: skip
        kept: dict[str, Any] = {}
        perlin_image((256, 256), parameters, kept)
        for panel, (key, title) in zip(row, names.items(), strict=True):
            low, high = (0, 1) if key in ("P3*", "P7") else (kept[key].min(), kept[key].max())
            panel.imshow(kept[key], cmap="gray", vmin=low, vmax=high)
            panel.set(xticks=[], yticks=[])
            if not number:
                panel.set_title(title, fontsize=9)
        text = f"λ1 {values[0]:g}, λ2 {values[1]:g}\nwP {values[2]}, ww {values[3]}\ns2 {values[4]}"
        row[0].set_ylabel(text, fontsize=8)
    return picture_of(figure, 1100)


def backgrounds(folder: Path) -> NDArray[np.uint8]:
    """Two images of each background."""
    images(folder)
    rows = []
    for name in ("texture", "foil", "perlin", "images"):
        options = {"folder": folder} if name == "images" else {}
        rows.append([grey(background(name, seed, (256, 256), **options)) for seed in range(4)])
    return tiled(rows)


def images(folder: Path) -> None:
    """Write what stands in for a user's defect-free patches."""
    folder.mkdir(exist_ok=True)
    for seed in range(4):
        pixels = grey(background("foil", 50 + seed, (300, 320)))
        cv2.imwrite(str(folder / f"patch-{seed}.png"), pixels)


def two_patches(folder: Path) -> NDArray[np.uint8]:
    """Two patches, and the backgrounds that they make at several opacities (P1, section 2.2)."""
    images(folder)
    row = []
    for opacity in (0.0, 1.0, 0.25, 0.5, 0.75):
        options = {"folder": folder, "opacity_low": opacity, "opacity_high": opacity}
        row.append(grey(background("images", 3, (224, 224), **options)))
    return tiled([row])


def variety() -> NDArray[np.uint8]:
    """Images of dislocations of many kinds (P1, Fig. 3)."""
    pictures = []
    for seed, name in enumerate(
        ("perlin", "foil", "texture", "foil", "perlin", "foil", "texture", "foil")
    ):
        canvas = background(name, seed)
        preset = "m1" if seed in (1, 6) else "m2"
        count = 8 if preset == "m1" else 14
        pictures.append(
            grey(drawn(canvas, "dislocations", 20 + seed, preset=preset, count=count)[0])
        )
    small = [cv2.resize(p, (272, 272), interpolation=cv2.INTER_AREA) for p in pictures]
    return tiled([small[:4], small[4:]])


def microstructures() -> NDArray[np.uint8]:
    """An image of each preset with its truth (P1, Fig. 6)."""
    pictures = []
    for preset, seed in (("m1", 4), ("m2", 9)):
        pixels, truth = drawn(background("foil", seed), "dislocations", seed, preset=preset)
        pictures.append(beside(pixels, truth))
    return tiled([pictures])


def features() -> NDArray[np.uint8]:
    """Histograms of the features of both presets (P1, Fig. 7), measured on what is drawn."""
    titles = {"pile-ups in an image": "pileups", "dislocations in a pile-up": "lines",
              "slip width, px": "width", "direction, deg": "direction", "spacing, px": "spacing",
              "arc height / slip width": "bow"}  # fmt: skip
    figure = Figure(figsize=(10, 4.8), layout="constrained")
    panels = figure.subplots(2, 3).ravel()
    found = {preset: _features(preset) for preset in COLOURS}
    for panel, (title, key) in zip(panels, titles.items(), strict=True):
        values = [found[preset][key] for preset in COLOURS]
        top = max(v.max() for v in values)
        low = min(v.min() for v in values)
        whole = key in ("pileups", "lines")
        bins = np.arange(0.5, top + 1) if whole else np.linspace(low, top, 25)
        for preset, own in zip(COLOURS, values, strict=True):
            weights = np.full(len(own), 1 / len(own))
            panel.hist(own, bins, weights=weights, color=COLOURS[preset], alpha=0.55, label=preset)
        panel.set_xlabel(title)
    for panel in panels[::3]:
        panel.set_ylabel("share")
    panels[0].legend()
    return picture_of(figure, 1000)


def _features(preset: str) -> dict[str, NDArray[np.float64]]:
    microstructure, source = PRESETS[preset], rng(0)
    counts = [microstructure.pileups.sample(source) for _ in range(HISTOGRAM_IMAGES)]
    some = [
        draw_pileup((512, 512), microstructure, PileUpRules(near_pairs=0, crossings=0), (), source)
        for _ in range(HISTOGRAM_IMAGES)
    ]
    chords = [pileup.support[:, -1] - pileup.support[:, 0] for pileup in some]
    bows = []
    for pileup, chord in zip(some, chords, strict=True):
        middle = pileup.support[:, pileup.support.shape[1] // 2] - pileup.support[:, 0]
        across = chord[:, 0] * middle[:, 1] - chord[:, 1] * middle[:, 0]
        bows.append(across / np.hypot(*chord.T) / pileup.slip_width_px)
    return {
        "pileups": np.array(counts, float),
        "lines": np.array([len(pileup.support) for pileup in some], float),
        "width": np.array([pileup.slip_width_px for pileup in some]),
        "direction": np.array([pileup.direction_deg for pileup in some]),
        "spacing": np.concatenate([np.diff(pileup.offsets_px) for pileup in some]),
        "bow": np.concatenate(bows),
    }


def contrasts() -> NDArray[np.uint8]:
    """The four contrasts of lines, enlarged."""
    row = []
    for k, contrast in enumerate(CONTRASTS):
        canvas = background("foil", 60 + k, (170, 170), contrast_high=0.04)
        options = DislocationsOptions(
            contrast=contrast, count=5, contrast_low=4, width_low_px=3, preset="m1",
            scale_to_frame=False, near_pairs=0, crossings=0,
        )  # fmt: skip
        Dislocations(options).draw(canvas, rng(k + 2))
        row.append(cv2.resize(grey(canvas), (264, 264), interpolation=cv2.INTER_CUBIC))
    return tiled([row])


def loops() -> NDArray[np.uint8]:
    """Loops of both shipped files of sizes with their truth."""
    rows = []
    for sizes, seed in (("stem", 3), ("in-situ", 6)):
        canvas = background("foil", seed)
        rows.append([beside(*drawn(canvas, "loops", seed, sizes=sizes))])
    return tiled([[rows[0][0], rows[1][0]]])


def in_situ() -> NDArray[np.uint8]:
    """Four frames of a sequence with their truth."""
    canvas = background("texture", 1, (300, 300))
    with default_host().build("generators", "in-situ-loops", {"count": 35}) as component:
        frames = list(component.sequence(canvas, rng(2), 60))
    return tiled([[with_truth(p, truth) for p, truth in frames[::19][:4]]])


def twin(folder: Path) -> NDArray[np.uint8]:
    """A labelled image, its twin, and the grey across their lines (P1, Fig. 14)."""
    pixels, truth = drawn(
        background("foil", 8), "dislocations", 12, preset="m1", count=6, contrast="dark", traces=0.5
    )
    cv2.imwrite(str(folder / "image.png"), grey(pixels))
    shapes = [
        {
            "label": "dislocation",
            "shape_type": "linestrip",
            # Seven points on each, as somebody would set them.
            "points": line[np.linspace(0, len(line) - 1, 7).astype(int)].tolist(),
        }
        for line in truth.lines or ()
    ]
    document = {"shapes": shapes, "imagePath": "image.png", "imageData": None,
                "imageHeight": SIDE_PX, "imageWidth": SIDE_PX}  # fmt: skip
    (folder / "image.json").write_text(json.dumps(document))
    canvas = background("texture", 0)
    copy, copied = drawn(canvas, "twin", 1, labels=folder / "image.json")
    paths = [spline_through(np.array(shape["points"])) for shape in shapes]
    own = [spline_through(line) for line in copied.lines or ()]
    return picture_of(profile_figure(compare_profiles(pixels, paths, copy, own)), 1000)


def write(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write a JPEG as good as the size limit allows."""
    for quality in range(92, 30, -4):
        how = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
        data = cv2.imencode(".jpg", picture[..., ::-1], how)[1].tobytes()
        if len(data) <= LARGEST_BYTES:
            break
    path.write_bytes(data)
    height, width = picture.shape[:2]
    print(f"{path.name}: {width} x {height} px, {len(data) / 1000:.0f} kB, quality {quality}")


def main() -> None:
    """Write all of them, or those named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--out", type=Path, default=FOLDER)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        makers: dict[str, Callable[[], Any]] = {
            "perlin-stages": stages,
            "backgrounds": lambda: backgrounds(scratch / "patches"),
            "two-patches": lambda: two_patches(scratch / "patches"),
            "dislocations": variety,
            "microstructures": microstructures,
            "features": features,
            "contrasts": contrasts,
            "loops": loops,
            "in-situ-loops": in_situ,
            "twin": lambda: twin(scratch),
        }
        for key, make in makers.items():
            if not given.names or key in given.names:
                write(given.out / f"{key}.jpg", make())


if __name__ == "__main__":
    main()
