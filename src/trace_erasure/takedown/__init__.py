"""Takedown lists: requests to erase, kept in one file, and the LoRA file that fulfils them.

What keeps the list (``ledger``, ``changes``, ``requests``, ``concept_list``) imports nothing of a
model; ``builder`` makes the erasures and merges them.
"""
