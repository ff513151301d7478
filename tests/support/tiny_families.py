"""Where tests find the tiny pipeline of every family."""

from trace_erasure.testing.families import tiny

__all__ = ["tiny"]
