"""Data: prompts and preference pairs, out of the file or data set that holds them."""
