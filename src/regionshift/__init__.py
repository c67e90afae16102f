"""Regionshift: one AWS environment in several regions, migrated with proof and exact undo."""

__version__ = "0.1.0"
