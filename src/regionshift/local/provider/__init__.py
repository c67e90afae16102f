"""An `aws` provider for the Pulumi engine that works offline, for just the resource types of the program."""
