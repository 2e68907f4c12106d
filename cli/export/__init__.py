"""`onlinedpo export`: what a run has, as files for other programs."""
