"""The use cases: preview, up, validate, destroy. They never print; they return values and raise."""
