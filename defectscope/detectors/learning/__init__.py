"""What learned detectors share: normalisation, tiles, engines, batches, the training loop."""
