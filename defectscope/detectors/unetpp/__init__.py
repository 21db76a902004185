"""The detector ``unetpp``: U-Net++ with a fixed number of masks, as P1 has it."""
