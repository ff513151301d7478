"""The file that holds an erasure: factors, provenance, merge statistics."""
