"""Copy data between regions: plan, run inside AWS, follow, undo."""
