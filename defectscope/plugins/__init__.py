"""The plugin host: hook specifications, discovery, look-up, and conformance tests."""
