"""Benchmarks of migrations and rollbacks against other copying tools, on the embedded AWS."""
