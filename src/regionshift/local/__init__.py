"""The embedded AWS for work without an account: an emulator process, and the local `aws` provider.

Only ``cli``, ``session`` and ``engine_setup`` import this package. It is not used with a real AWS account.
"""
