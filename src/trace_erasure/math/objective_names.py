"""Names of the finetune objectives, apart from their formulas: settings are read without torch."""

NAMES = ("anchor", "reverse_cfg", "margin", "without_guidance")
"""In the order of ``math.objectives.TARGETS``."""
