"""For a journal that is damaged: what is left of it, and what to do."""
