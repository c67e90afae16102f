"""What operations say, as values, and how they are shown: terminal, JSON, JUnit. Knows no cloud."""
