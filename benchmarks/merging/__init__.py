"""Many concepts at once, one more or less, by strength, from a file, and combinations."""
