"""Interfaces of other projects."""
