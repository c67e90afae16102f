"""Access to AWS for everything except the engine and the function: clients, guards, errors."""
