"""The embedded AWS: the emulator as a child process, and an `aws` provider for the engine."""
