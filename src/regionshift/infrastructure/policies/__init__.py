"""Every policy of the environment as data: small pure functions from ARNs to statements, each with tests."""
