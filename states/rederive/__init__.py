"""What every fact of a journal must be, derived again from those before it."""
