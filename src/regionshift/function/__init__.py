"""The code that runs inside Lambda: boto3, Powertools and the standard library, nothing else of ours.

``migration_handler.handler`` is the entry; docs/function.md has the variables, the configuration, the
answers and the message format.
"""
