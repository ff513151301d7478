"""Attacks on an erased model, all under one protocol: budgets, controls, resumable outcomes."""
