"""Models: which they are, how they are loaded, and what of them is trained."""
