"""The demo: two commands, one page."""
