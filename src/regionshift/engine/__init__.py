"""The Pulumi engine: found, run, listened to. The only package that knows Pulumi's Automation API."""
