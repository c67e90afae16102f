"""The Pulumi engine: find it, run it, read its events. Only this package uses Pulumi's Automation API."""
