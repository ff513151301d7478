"""What a task is, and the files that describe it."""
