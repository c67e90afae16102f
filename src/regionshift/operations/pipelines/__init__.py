"""The files of a pipeline that runs the command, made from the settings."""
