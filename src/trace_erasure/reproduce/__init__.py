"""Published evaluations from start to end: erasures, pictures, judges, and the published figures."""
