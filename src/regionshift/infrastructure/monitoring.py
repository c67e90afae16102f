"""The logs and metrics of a region: log groups, alarms and a dashboard."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from regionshift.infrastructure.alarms import Alarm, action_alarms, function_alarms, migration_alarms
from regionshift.infrastructure.dashboards import region_dashboard
from regionshift.infrastructure.runbooks import link
from regionshift.infrastructure.site import RegionComponent, Site
from regionshift.settings import components as named


class MonitoringStack(RegionComponent):
    """Log groups under the region's key, alarms that publish to the region's alarm topic, and a dashboard.

    Alarms name what they watch and need not wait for it. The function's log group must exist before the function.
    """

    def __init__(
        self, site: Site, key: aws.kms.Key, topic: aws.sns.Topic, opts: pulumi.ResourceOptions
    ) -> None:
        super().__init__(site, "Monitoring", opts)
        self.function_log_group = self._log_group(
            key,
            "function-log-group",
            site.names.function_log_group(site.name(named.FUNCTION)),
            "log of the function",
        )
        self.validation_log_group = self._log_group(
            key, "validation-log-group", site.name(named.VALIDATION_LOG_GROUP), "what validations found"
        )
        self.deployment_log_group = self._log_group(
            key,
            "deployment-log-group",
            site.name(named.DEPLOYMENT_LOG_GROUP),
            "what migrations and rollbacks did",
        )
        for alarm in (*function_alarms(site), *action_alarms(site), *migration_alarms(site)):
            metric_alarm(site, alarm, topic, self.child())
        aws.cloudwatch.Dashboard(
            site.label("dashboard"),
            dashboard_name=site.name(named.REGION_DASHBOARD),
            dashboard_body=region_dashboard(site),
            opts=self.child(),
        )
        self.register_outputs({})

    @property
    def log_groups(self) -> list[aws.cloudwatch.LogGroup]:
        """The groups that the function writes to."""
        return [self.function_log_group, self.validation_log_group, self.deployment_log_group]


def metric_alarm(
    site: Site, alarm: Alarm, topic: aws.sns.Topic, opts: pulumi.ResourceOptions
) -> aws.cloudwatch.MetricAlarm:
    """Create one alarm in ``site``. It publishes to ``topic`` when it turns red, and when it turns green again."""
    percentile = alarm.statistic.startswith("p")
    return aws.cloudwatch.MetricAlarm(
        site.label(alarm.thing),
        name=site.name(alarm.component),
        alarm_description=f"{alarm.description}. {link(alarm.component, site.config.alerts.runbooks)}",
        namespace=alarm.namespace,
        metric_name=alarm.metric,
        dimensions=dict(alarm.dimensions),
        statistic=None if percentile else alarm.statistic,
        extended_statistic=alarm.statistic if percentile else None,
        period=alarm.period,
        evaluation_periods=1,
        threshold=alarm.threshold,
        comparison_operator="GreaterThanThreshold",
        treat_missing_data="notBreaching",
        alarm_actions=[topic.arn],
        ok_actions=[topic.arn],
        tags=site.tags(alarm.thing, "alarm"),
        opts=opts,
    )
