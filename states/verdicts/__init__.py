"""What judges are asked, and how what they say is read and decided on."""
