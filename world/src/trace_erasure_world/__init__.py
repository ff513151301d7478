"""The embedded models of trace-erasure: weights, and where they lie."""

from __future__ import annotations

from pathlib import Path

MODELS = Path(__file__).parent / "models"
"""The folder that holds a folder for every model."""
