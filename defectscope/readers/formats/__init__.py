"""Annotation formats: labelled images in and out."""
