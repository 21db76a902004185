"""Post-processors: from detections to geometry."""
