"""The embedded AWS for work without an account: an emulator process and the `aws` provider that talks to it.

Known only by ``cli`` and ``session``. Nothing in here is used when the target is a real AWS account.
"""
