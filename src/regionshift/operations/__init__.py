"""The use cases: preview, up, validate, outputs, destroy. They never print; they return values and raise errors."""
