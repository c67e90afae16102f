"""An offline `aws` provider for the Pulumi engine, with the resource types of our program."""
