"""What the user asked for: names, regions, ranges. Pure; imports nothing of ours but the errors."""
