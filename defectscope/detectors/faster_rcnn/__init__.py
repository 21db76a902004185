"""Faster R-CNN on torchvision, and the same detector on detectron2 (P3: Shen et al.)."""
