"""The Pulumi program: an ordinary `pulumi_aws` program, one component a file.

``program.environment`` builds every region that has a release, and the links between the regions. Nothing here reads an
environment variable, keeps state in a module or looks anything up. The same releases give the same resources, and one
process can build two environments.
"""
