"""Judges: a model, a server, a reward model, a function, or several of them."""
