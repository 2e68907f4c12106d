"""The settings, by what they are for; `states.config` makes one class of them."""
