"""The Pulumi program: an ordinary `pulumi_aws` program, one component a file.

``program.environment`` builds every region that has a release, and the links between them. Nothing here
reads an environment variable, keeps state in a module or looks anything up: the same releases give the
same resources, and two environments can be built in one process.
"""
