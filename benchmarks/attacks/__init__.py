"""Erasures under attack, with controls."""
