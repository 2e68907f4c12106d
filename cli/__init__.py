"""The command line: the only place where facts become text."""
