"""What people are shown, what they write, and how it is read."""
