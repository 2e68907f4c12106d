"""`onlinedpo label`: label pairs in the terminal, one key each."""
