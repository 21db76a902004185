"""The detector ``line-tracer``: orientation channels, and lines followed in (x, y, θ)."""
