"""`onlinedpo rejudge`: a run's pairs under another judge."""
