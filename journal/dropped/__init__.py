"""Files that other programs drop, as rows."""
