"""A pipeline that runs the command: its files, made from the settings."""
