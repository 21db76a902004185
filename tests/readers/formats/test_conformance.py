"""The shipped formats keep the contract that plugin authors are held to."""

from __future__ import annotations

from defectscope.plugins.testing import FormatConformance
from defectscope.readers import plugin
from defectscope.readers.formats.coco import Coco
from defectscope.readers.formats.imagej_csv import ImageJCsv
from defectscope.readers.formats.imagej_roi import ImageJRoi
from defectscope.readers.formats.labelme import LabelMe
from defectscope.readers.formats.napari import Napari
from defectscope.readers.formats.pascal_voc import PascalVoc
from defectscope.readers.formats.yolo import Yolo

SPECS = {spec.name: spec for spec in plugin.defectscope_formats()}


class TestCoco(FormatConformance):
    component = Coco
    spec = SPECS["coco"]


class TestLabelMe(FormatConformance):
    component = LabelMe
    spec = SPECS["labelme"]


class TestYolo(FormatConformance):
    component = Yolo
    spec = SPECS["yolo"]


class TestPascalVoc(FormatConformance):
    component = PascalVoc
    spec = SPECS["pascal-voc"]


class TestNapari(FormatConformance):
    component = Napari
    spec = SPECS["napari"]


class TestImageJCsv(FormatConformance):
    component = ImageJCsv
    spec = SPECS["imagej-csv"]


class TestImageJRoi(FormatConformance):
    component = ImageJRoi
    spec = SPECS["imagej-roi"]
