"""How everything but the engine and the function reaches AWS: clients, guards, and errors told plainly."""
