"""The story of a run: `replay`, `trace` and `show`."""
