"""Published evaluations from start to end, with the published figures beside."""
