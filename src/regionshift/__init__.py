"""Regionshift: one AWS environment in several regions, migrated with proof and taken back exactly."""

__version__ = "0.1.0"
