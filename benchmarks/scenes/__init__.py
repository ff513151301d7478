"""Benchmarks on emoji-scenes: what no word names."""
