"""Every policy of the environment as data: small pure functions from ARNs to statements, tested as such."""
