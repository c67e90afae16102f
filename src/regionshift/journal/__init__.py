"""Durable state under one URL: the journal of runs, the lock of an environment, and its releases."""
