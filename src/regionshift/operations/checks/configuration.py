"""The environment's configuration: encrypted, with the region's own key. Values are never read here."""

from __future__ import annotations

from regionshift.operations.checks.base import Check, CheckContext, Wrong, expect


class ConfigurationCheck(Check):
    """The configuration parameter (or secret) and everything beside it."""

    name = "configuration"

    def ask(self, context: CheckContext, region: str) -> str:
        if context.config.application.store == "secretsmanager":
            return self._secrets(context, region)
        return self._parameters(context, region)

    def _parameters(self, context: CheckContext, region: str) -> str:
        ssm = context.clients.get("ssm", region)
        names = context.config.names
        wanted = {context.outputs.get("deployment_config_parameter_name", region)}
        wanted |= {names.parameter(name, region) for name in context.config.application.secrets}
        pages = ssm.get_paginator("describe_parameters").paginate(
            ParameterFilters=[
                {"Key": "Path", "Option": "Recursive", "Values": [names.environment_path(region)]}
            ]
        )
        found = {parameter["Name"]: parameter for page in pages for parameter in page["Parameters"]}
        if missing := sorted(wanted - found.keys()):
            raise Wrong(f"missing: {', '.join(missing)}")
        key = _own_key(context, region)
        for name in sorted(wanted):
            expect(f"type of {name}", found[name]["Type"], "SecureString")
            _expect_key(name, found[name].get("KeyId", ""), key)
        return f"{len(wanted)} encrypted parameters"

    def _secrets(self, context: CheckContext, region: str) -> str:
        client = context.clients.get("secretsmanager", region)
        names = context.config.names
        wanted = [context.outputs.get("deployment_config_secret_arn", region)]
        wanted += [names.secret(name, region) for name in context.config.application.secrets]
        key = _own_key(context, region)
        for name in wanted:
            secret = client.describe_secret(SecretId=name)
            if secret.get("DeletedDate"):
                raise Wrong(f"{secret['Name']} is going to be deleted")
            _expect_key(secret["Name"], secret.get("KmsKeyId", ""), key)
        return f"{len(wanted)} encrypted secrets"


def _own_key(context: CheckContext, region: str) -> frozenset[str]:
    """Every way the region's key may be named."""
    alias = context.config.names.key_alias(region)
    key = context.clients.get("kms", region).describe_key(KeyId=alias)["KeyMetadata"]
    return frozenset({alias, key["KeyId"], key["Arn"], context.arn("kms", region, alias)})


def _expect_key(name: str, found: str, key: frozenset[str]) -> None:
    if found not in key:
        raise Wrong(f"{name} is not encrypted with the region's key but with {found or 'none'}")
