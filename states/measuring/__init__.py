"""How good judges and people are, in figures with intervals."""
