"""Every change is a run: one driver of its steps, one fold of its events, one vocabulary of messages."""
