"""What is true of a run: facts, and the state that folds out of them.

Pure: only the standard library and `transitions`.  Nothing here reads or writes files.
"""
