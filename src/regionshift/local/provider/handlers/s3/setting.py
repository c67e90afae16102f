"""What all resources that are a setting of a bucket have in common: a put, and the bucket as their id."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from regionshift.local.provider.fields import Field
from regionshift.local.provider.handler import Context, Handler, Update
from regionshift.local.provider.wire import Properties

BUCKET = Field(required=True, replaces=True)


class BucketSettingHandler(Handler):
    """A setting has the bucket as its id. Putting it is idempotent, so create and update are one call."""

    def create(self, context: Context, inputs: Properties) -> str:
        self.put(context.client("s3"), inputs)
        return str(inputs["bucket"])

    def update(self, context: Context, identity: str, change: Update) -> None:
        self.put(context.client("s3"), change.news)

    def read(self, context: Context, identity: str) -> Properties | None:
        found = self.get(context.client("s3"), identity)
        return None if found is None else {"bucket": identity, **found}

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        self.remove(context.client("s3"), identity)

    @abstractmethod
    def put(self, s3: Any, inputs: Properties) -> None:
        """Set it on the bucket."""

    @abstractmethod
    def get(self, s3: Any, bucket: str) -> Properties | None:
        """What is set, without the bucket; None when nothing is."""

    @abstractmethod
    def remove(self, s3: Any, bucket: str) -> None:
        """Set it back to what a new bucket has."""
