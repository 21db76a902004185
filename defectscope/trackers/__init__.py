"""Trackers: from detections to particles."""
