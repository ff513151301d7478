"""Time and memory at the true sizes of published models."""
