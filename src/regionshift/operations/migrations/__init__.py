"""Carrying data between regions: plan, run inside AWS, follow, take back."""
