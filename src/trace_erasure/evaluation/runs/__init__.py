"""Runs: what is drawn and judged once, kept, and shared by processes."""
