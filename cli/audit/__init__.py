"""`onlinedpo audit`: whether a run can be believed, and its judge."""
