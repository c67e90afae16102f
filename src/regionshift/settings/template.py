"""The commented file that ``regionshift init`` writes.

A line with ``#`` and a letter or two blanks is a setting with its default or an example; without the ``#`` it counts.
A line with ``#`` and one blank is a comment.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from regionshift.settings.regions import all_regions, partition_of

LOCAL_SCHEMA = ".regionshift/regionshift.schema.json"
"""Where ``init`` puts the JSON Schema, from the settings file's folder."""


def settings_template(
    *,
    project: str,
    environment: str,
    account: str,
    regions: Sequence[str],
    target: str = "local",
    schema: str = LOCAL_SCHEMA,
) -> str:
    """The text of a new, valid settings file; the first of ``regions`` is the primary."""
    primary, *secondaries = regions
    # An unknown region is found where the settings are read.
    partition = partition_of(primary) if primary in all_regions() else "aws"
    values = {
        "schema": schema,
        "project": json.dumps(project),
        "environment": json.dumps(environment),
        "account": json.dumps(account),
        "target": target,
        "boundary": f"arn:{partition}:iam::{account}:policy/boundary",
        "primary": primary,
        "secondaries": ", ".join(secondaries),
        "canary": secondaries[0] if secondaries else primary,
        "waves": ", ".join(
            f"[{', '.join(wave)}]" for wave in (secondaries[:1], secondaries[1:], [primary]) if wave
        ),
    }
    text = _TEMPLATE
    for name, value in values.items():
        text = text.replace(f"<{name}>", value)
    return text


_TEMPLATE = """\
# yaml-language-server: $schema=<schema>
#
# One environment in several regions. To change a default, remove the "#" of its line, and of its section's name above.
# docs/settings.md explains every field. A variable REGIONSHIFT_SECTION__FIELD overrides a field,
# and an option overrides both. ENVIRONMENT_SUFFIX makes another environment, for example for a pull request.

# Names are <project>-<component>-<region>-<environment>.
project: <project>
environment: <environment>

# The AWS account, in quotes. Credentials of another account are refused.
account: <account>

# local: the embedded AWS on this machine, offline. aws: the real AWS.
target: <target>

regions:
  # The application writes to the primary, which replicates to the secondaries. One to thirty regions in all.
  primary: <primary>
  secondaries: [<secondaries>]

network:
  # Every region gets a fixed block of this space: a /22 of a /16.
  vpc_cidr: 10.0.0.0/16
  # Availability zones in each region.
#  zones: 2
#  flow_logs: true
  # In the VPC the function needs interface endpoints, which cost money by the hour.
#  function_in_vpc: false
  # Another block for one region:
#  region_cidrs: {<primary>: 10.200.0.0/20}

# The application's configuration in every region. Secrets come from a variable, a file or an existing
# secret, never from this file.
#application:
#  store: ssm
#  log_level: INFO
#  enable_validation: true
#  config: {greeting: hello}
#  secrets:
#    database-password: {env: DATABASE_PASSWORD}
#    signing-key: {file: signing.key}

# The migration function: memory in MB, a timeout such as 300 or 5m.
#function:
#  runtime: python3.13
#  architecture: arm64
#  memory: 512
#  timeout: 5m
  # New accounts have too small a quota to reserve any.
#  reserved_concurrency: 10

# The roles and users that run this command. Then nobody else may write records and state in the buckets.
#access:
#  operators: ["arn:aws:iam::123456789012:role/operators"]
  # The permissions boundary of the environment's own roles; `regionshift bootstrap` creates one.
#  boundary: <boundary>

# Retention in days. A migration can be undone as long as old versions are kept.
#retention:
#  logs: 30
#  old_versions: 30
#  access_logs: 90
#  aborted_uploads: 7
#  key_deletion: 30
#  secret_recovery: 30

# Who gets alarms, and when: counts in five minutes, a share of the timeout, a delay.
#alerts:
#  emails: [team@example.com]
#  errors: 1
#  throttles: 1
#  duration_share: 0.8
#  replication_latency: 15m
#  runbooks: https://docs.example.com/regionshift/runbooks/   # each alarm links to its section of this page

# The data that `migrate` copies. {region} stands for the source region and for the target region.
#carry:
#  s3:
#    - {prefix: uploads/}
#    - {bucket: "media-{region}", exclude: ["*.tmp"]}
#  ssm:
#    - {path: /shop/prod, rewrite: {arns: true}}
#  secrets:
#    - {tags: {Application: shop}}

# How a migration works: pinned or full proof, and rollback or stop after a failed proof.
#migration:
#  verify: full
#  on_failure: rollback
#  keep_versions: false

# Recovery targets: the longest replication delay, and the longest change of primary.
#recovery:
#  rpo: 15m
#  rto: 1h

# Waves: the primary is in the last one, and alarms are watched after each.
#deployment:
#  waves: [<waves>]
#  bake: 10m
#  bake_min_samples: 10
#  failure_tolerance: 0
  # Resources that the engine changes at the same time.
#  max_parallel: 16
#  on_failure: rollback
  # Numbers of the waves that wait for an approval.
#  approve: [1]
  # How many releases are kept, and for how many days at least; releases in use are always kept.
#  keep_releases: 10
#  keep_days: 30
  # Your own alarms, watched too.
#  alarms: [{name: checkout-errors, region: <canary>}]

# Who may take the roles that `regionshift bootstrap` makes for a pipeline.
# By default a repository on GitHub. With `gitlab` a project there; name the image of its jobs by digest.
#pipeline:
#  repository: octo-org/orders
#  branch: main
#  requirements: requirements.txt
#  gitlab: https://gitlab.com
#  image: example.com/tools@sha256:0000000000000000000000000000000000000000000000000000000000000000

# Findings of policies that you accept until a day. docs/findings.md has the ids.
#waivers:
#  - {id: RS-DATA-001, of: "worker-*", reason: agreed with security, until: "2027-01-31"}

# Tags on every resource, in addition to Project, Environment, Region, IsPrimary, ManagedBy and Purpose.
#tags: {Owner: platform}

# State, releases and journal: .regionshift/ next to this file, or one place for a team.
#state: s3://my-state-bucket/regionshift?region=eu-central-1
#state_secrets: awskms://alias/regionshift-state?region=<primary>

# Whether `destroy` refuses. By default only the environment prod is protected.
#protect: false
"""
