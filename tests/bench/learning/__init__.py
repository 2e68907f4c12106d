"""What freshness is worth: online DPO, rounds, a fixed data set, and labels that wait."""
