"""The code that runs in Lambda. It uses boto3, Powertools and the standard library.

``migration_handler.handler`` is the entry. docs/function.md describes the variables, the configuration, the answers
and the message format.
"""
