"""People as judges: what they are offered, and how their answers come in."""
