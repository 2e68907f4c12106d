"""An audit of a run: its journal, its checkpoints, and the files people saved."""
