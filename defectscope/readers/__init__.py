"""Readers of image, stack, microscope and video files, and annotation formats in and out."""
