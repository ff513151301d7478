"""Where shares of a long job run: this process, a Ray cluster, a Slurm array."""
