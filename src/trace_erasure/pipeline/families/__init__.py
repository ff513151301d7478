"""Model families: the only place that knows how architectures differ."""
