"""Carriers: each knows one kind of data and how to plan, copy, prove and take back its move.

Runs on a laptop and inside Lambda alike: boto3, botocore and the standard library only.
"""
