"""Carriers. Each carrier plans, copies, proves and undoes the move of one kind of data.

This package runs on a laptop and inside Lambda. It uses boto3, botocore and the standard library only.
"""
