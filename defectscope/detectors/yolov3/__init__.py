"""The detector ``yolov3``: P2's network as ultralytics builds it, in our training and engines."""
