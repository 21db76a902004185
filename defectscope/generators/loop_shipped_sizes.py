"""Loop sizes that come with defectscope, and where they come from."""

from __future__ import annotations

from defectscope.generators.loop_sizes import LoopSizes, TypeSizes

__all__ = ["SHIPPED_SIZES"]

STEM = LoopSizes(
    source="fit_loop_sizes on foil1_100kx (bright-field STEM of neutron-irradiated FeCrAl, "
    "doi:10.6084/m9.figshare.8266484, 110 labels); densities from half to twice those found",
    types={
        "a/2<111> loop": TypeSizes(
            major_px=(22.1, 24.8, 29.2, 30.5, 32.7, 35.4, 41.4, 47.1, 62.5, 73.6, 82.6),
            aspect=(0.407, 0.513, 0.576, 0.583, 0.591, 0.6, 0.617, 0.694, 0.698, 0.703, 0.755),
            per_megapixel=(13.0, 27.0, 53.0),
        ),
        "a<100> loop": TypeSizes(
            major_px=(17.3, 19.7, 23.4, 24.8, 28.5, 32.5, 41.7, 46.7, 53.7, 60.3, 85.9),
            aspect=(0.227, 0.249, 0.293, 0.313, 0.739, 0.847, 0.848, 0.851, 0.917, 0.967, 0.998),
            per_megapixel=(11.0, 22.0, 44.0),
        ),
        "black dot": TypeSizes(
            major_px=(7.26, 10.4, 12.8, 13.7, 15.0, 15.5, 16.1, 18.2, 20.5, 22.5, 32.1),
            aspect=(0.654, 0.672, 0.777, 0.939, 0.944, 0.952, 0.96, 0.961, 0.969, 0.973, 0.991),
            per_megapixel=(28.0, 56.0, 112.0),
        ),
    },
)
IN_SITU = LoopSizes(
    source="fit_loop_sizes with label_inset_px=1 on the frames 126, 480 and 888 of an in-situ "
    "bright-field video (Fe-18Cr-3Al under Kr ions, doi:10.18126/n9dj-5mk0, 270 boxes); the "
    "other labelled frames stay unseen, so that detectors can be tested on them",
    types={
        "dislocation-loop": TypeSizes(
            major_px=(9.19, 14.2, 16.2, 17.4, 18.8, 20.6, 22.4, 24.4, 27.7, 31.4, 49.5),
            aspect=(0.3, 0.544, 0.61, 0.658, 0.698, 0.756, 0.8, 0.846, 0.907, 0.949, 1.0),
            per_megapixel=(52.8, 68.2, 83.5, 98.8, 114, 130, 135, 141, 146, 152, 157),
        ),
    },
)
# Axes: log-normal, from the 1st to the 99th percentile, with the published means and with the
# standard deviations that follow from the published errors of the means and numbers of defects.
# Aspect ratios: circles on {100} and {111} planes seen near a cube axis, in foils tilted by some
# 10 degrees: one in three a<100> loops face-on, two edge-on, all a/2<111> loops inclined.
PUBLISHED = LoopSizes(
    source="means, standard errors and areal densities of Table 3 of Shen et al. (bright-field "
    "STEM of neutron-irradiated FeCrAl, 12 test images) at 0.35 nm/px, the geometric mean of the "
    "range of their pixel sizes, 0.14 to 0.87 nm; densities from 0.4 to 2 times that",
    types={
        "a/2<111> loop": TypeSizes(
            major_px=(16.3, 28.3, 35.7, 42.2, 48.7, 55.7, 63.6, 73.4, 86.8, 110.0, 190.0),
            aspect=(0.36, 0.46, 0.51, 0.55, 0.58, 0.6, 0.63, 0.66, 0.7, 0.74, 0.8),
            per_megapixel=(8.67, 21.7, 43.4),
        ),
        "black dot": TypeSizes(
            major_px=(11.2, 15.3, 17.5, 19.2, 20.8, 22.4, 24.2, 26.2, 28.8, 32.8, 44.8),
            aspect=(0.62, 0.75, 0.82, 0.86, 0.89, 0.92, 0.94, 0.96, 0.97, 0.99, 1.0),
            per_megapixel=(16.7, 41.8, 83.5),
        ),
        "a<100> loop": TypeSizes(
            major_px=(13.8, 24.5, 31.3, 37.3, 43.3, 49.8, 57.3, 66.5, 79.3, 101.0, 180.0),
            aspect=(0.07, 0.09, 0.11, 0.13, 0.15, 0.18, 0.24, 0.82, 0.88, 0.94, 1.0),
            per_megapixel=(6.47, 16.2, 32.3),
        ),
    },
)
SHIPPED_SIZES = {"stem": STEM, "in-situ": IN_SITU, "stem-published": PUBLISHED}
