"""What is broken on this machine, and the command that mends it."""
