"""The compact anchor-free detector ``heatmap``: network, targets, loss, decoding, training."""
