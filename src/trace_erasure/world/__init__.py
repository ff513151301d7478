"""The embedded world: what the shipped models can draw, and how it is said in words."""

from trace_erasure.world.captions import Scene, caption, with_article, worded
from trace_erasure.world.vocabulary import Thing, World, load_world

__all__ = ["Scene", "Thing", "World", "caption", "load_world", "with_article", "worded"]
