"""The links between regions: replication from the primary, its alarms, and the dashboard for all.

Links are a step of their own. They are created after both ends exist, and deleted before either end. Every name
contains the region of its resource. So a change of primary creates and deletes links and replaces nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_aws as aws

from regionshift.infrastructure.alarms import replication_failed_alarm, replication_latency_alarm, rule_id
from regionshift.infrastructure.dashboards import overview_dashboard
from regionshift.infrastructure.monitoring import metric_alarm
from regionshift.infrastructure.policies.services import ReplicationEnd, replication_statements
from regionshift.infrastructure.policies.statement import arn_by_name, document, foretold, known_later, trust
from regionshift.infrastructure.region import RegionStack
from regionshift.infrastructure.site import TYPE_PREFIX, Site, bounded_role
from regionshift.settings import components as named
from regionshift.settings.release import Release

REPLICATION_MINUTES = 15
"""The only value that S3 Replication Time Control takes (Amazon S3 API Reference, ReplicationTimeValue)."""


class LinksStack(pulumi.ComponentResource):
    """The links of one release between those of its regions that are built.

    Everything about them comes from that release, not from the releases of the regions at their ends. In a rollback the
    links change first, while the regions still have the release that is rolled back.
    """

    def __init__(self, release: Release, regions: Mapping[str, RegionStack]) -> None:
        super().__init__(TYPE_PREFIX + "Links", "links", None, None)
        self._release = release
        config = release.config
        source = regions.get(config.regions.primary)
        # Sorted by name, because priorities follow the order, and the order in the settings has no meaning.
        destinations = [regions[region] for region in sorted(config.regions.secondaries) if region in regions]
        if source is not None:
            self._overview(source, [source, *destinations])
            if destinations:
                self._replicate(source, destinations)
            for destination in destinations:
                self._watch(source, destination)
        self.register_outputs({})

    def _site(self, region: RegionStack) -> Site:
        """Return the region as the links' own release describes it."""
        return Site(region.site.region, self._release)

    def _overview(self, source: RegionStack, regions: Sequence[RegionStack]) -> None:
        site = self._site(source)
        aws.cloudwatch.Dashboard(
            site.label("overview-dashboard"),
            dashboard_name=site.name(named.OVERVIEW_DASHBOARD),
            dashboard_body=overview_dashboard(site, [self._site(region) for region in regions]),
            opts=self._in(source),
        )

    def _replicate(self, source: RegionStack, destinations: Sequence[RegionStack]) -> None:
        site = self._site(source)
        made = bounded_role(
            site,
            "replication",
            named.REPLICATION_ROLE,
            "replication to the secondaries",
            trust("s3", site.config.account),
            self._in(source),
        )
        rights = aws.iam.RolePolicy(
            site.label("replication-policy"),
            name=site.name(named.REPLICATION_POLICY),
            role=made.name,
            policy=_rights(source, destinations),
            opts=self._in(source),
        )
        aws.s3.BucketReplicationConfig(
            site.label("replication"),
            bucket=source.storage.deployment_bucket.bucket,
            role=arn_by_name(made.arn, site.role(named.REPLICATION_ROLE)),
            rules=[_rule(priority, region) for priority, region in enumerate(destinations, start=1)],
            # S3 refuses replication between buckets that do not keep versions.
            opts=self._in(
                source, [rights, source.storage.versioning, *(end.storage.versioning for end in destinations)]
            ),
        )

    def _watch(self, source: RegionStack, destination: RegionStack) -> None:
        here, there = self._site(source), self._site(destination)
        metric_alarm(
            there,
            replication_latency_alarm(here, there),
            destination.notifications.alarm_topic,
            self._in(destination),
        )
        metric_alarm(
            here,
            replication_failed_alarm(here, there),
            source.notifications.alarm_topic,
            self._in(source),
        )

    def _in(self, region: RegionStack, depends_on: Sequence[pulumi.Resource] = ()) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(
            parent=self, provider=region.provider, depends_on=list(depends_on) or None
        )


def _rights(source: RegionStack, destinations: Sequence[RegionStack]) -> pulumi.Output[str]:
    ends = [source, *destinations]

    def build(known: Mapping[str, Sequence[str]]) -> str:
        known_ends = [
            ReplicationEnd(end.site.region, bucket, key)
            for end, bucket, key in zip(ends, known["buckets"], known["keys"], strict=True)
        ]
        return document(replication_statements(known_ends[0], known_ends[1:], source.site.config.account))

    return foretold(
        build,
        {
            "buckets": [end.storage.deployment_bucket.arn for end in ends],
            "keys": [end.encryption.key.arn for end in ends],
        },
        buckets=[f"arn:{end.site.partition}:s3:::{end.site.name(named.DEPLOYMENT_BUCKET)}" for end in ends],
        keys=[end.site.arn("kms", f"key/{known_later('key')}") for end in ends],
    )


def _rule(priority: int, destination: RegionStack) -> aws.s3.BucketReplicationConfigRuleArgsDict:
    """Return the rule: replicate everything in the bucket within fifteen minutes, with delete markers and KMS
    objects.
    """
    return {
        "id": rule_id(destination.site),
        "priority": priority,
        "status": "Enabled",
        "filter": {"prefix": ""},
        "delete_marker_replication": {"status": "Enabled"},
        "source_selection_criteria": {"sse_kms_encrypted_objects": {"status": "Enabled"}},
        "destination": {
            "bucket": destination.storage.deployment_bucket.arn,
            "encryption_configuration": {"replica_kms_key_id": destination.encryption.key.arn},
            "replication_time": {"status": "Enabled", "time": {"minutes": REPLICATION_MINUTES}},
            "metrics": {"status": "Enabled", "event_threshold": {"minutes": REPLICATION_MINUTES}},
        },
    }
