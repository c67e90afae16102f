"""The checks of a live environment: one small class each, with a name and a remedy."""
