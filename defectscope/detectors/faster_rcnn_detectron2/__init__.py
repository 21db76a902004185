"""Faster R-CNN on detectron2, where a user has it; no code of detectron2 is in here."""
