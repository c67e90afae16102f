"""Who may use a secret."""

from __future__ import annotations

from regionshift.local.provider.absent import look
from regionshift.local.provider.fields import Field, Shape
from regionshift.local.provider.handler import Change, Context, Handler
from regionshift.local.provider.wire import Properties


class SecretPolicy(Handler):
    """Who may use a secret, apart from what IAM gives."""

    token = "aws:secretsmanager/secretPolicy:SecretPolicy"
    fields = {
        "secretArn": Field(required=True, replaces=True),
        "policy": Field(Shape.POLICY, required=True),
        "blockPublicPolicy": Field(Shape.FLAG, opaque=True),
    }

    def create(self, context: Context, inputs: Properties) -> str:
        self._put(context, inputs["secretArn"], inputs)
        return str(inputs["secretArn"])

    def _put(self, context: Context, arn: str, inputs: Properties) -> None:
        context.client("secretsmanager").put_resource_policy(
            SecretId=arn,
            ResourcePolicy=inputs["policy"],
            BlockPublicPolicy=bool(inputs.get("blockPublicPolicy")),
        )

    def read(self, context: Context, identity: str) -> Properties | None:
        found = look(context.client("secretsmanager").get_resource_policy, SecretId=identity)
        policy = (found or {}).get("ResourcePolicy")
        return {"secretArn": identity, "policy": policy} if policy else None

    def update(self, context: Context, identity: str, change: Change) -> None:
        self._put(context, identity, change.news)

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        context.client("secretsmanager").delete_resource_policy(SecretId=identity)
