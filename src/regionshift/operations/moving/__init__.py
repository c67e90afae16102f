"""Another primary: promote a secondary, with or without the old primary, and move from region to region."""
