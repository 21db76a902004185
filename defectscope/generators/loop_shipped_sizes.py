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
SHIPPED_SIZES = {"stem": STEM, "in-situ": IN_SITU}
