"""What a run tells other programs while it goes on."""
