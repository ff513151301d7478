"""Lists of concepts that people take down most, one YAML file each; see ``concepts.pack``."""
