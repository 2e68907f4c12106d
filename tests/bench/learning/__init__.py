"""What freshness is worth: online DPO, rounds, a fixed file, and labels that wait."""
