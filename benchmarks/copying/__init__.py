"""Migrations and rollbacks against the tools that people copy with today, on the embedded AWS, in one run."""
