"""Preference data and judgements, as other programs have them."""
