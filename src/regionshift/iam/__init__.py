"""What policies mean: documents read, compared, judged. Pure."""
