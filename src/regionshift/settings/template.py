"""The commented file that ``regionshift init`` writes.

A line that begins with ``#`` and a letter or two blanks is a setting with its default or an example; it is
used by taking the ``#`` away. A line that begins with ``#`` and one blank explains.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from regionshift.settings.regions import partition_of

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
    """The text of a new settings file; the first of ``regions`` is the primary. It loads as it is."""
    primary, *secondaries = regions
    values = {
        "schema": schema,
        "project": json.dumps(project),
        "environment": json.dumps(environment),
        "account": json.dumps(account),
        "target": target,
        "boundary": f"arn:{partition_of(primary)}:iam::{account}:policy/boundary",
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
# One environment over several regions. Take the "#" of a line away to change a default.
# Every field is explained in docs/settings.md. A variable REGIONSHIFT_SECTION__FIELD overrides a field,
# ENVIRONMENT_SUFFIX names a copy of the environment (a pull request's, say), and options override both.

# Names are <project>-<component>-<region>-<environment>.
project: <project>
environment: <environment>

# The AWS account, in quotes. Credentials of another account are refused.
account: <account>

# local: the embedded AWS on this machine, offline. aws: the real one.
target: <target>

regions:
  # Written here and mirrored there; one to thirty regions in all.
  primary: <primary>
  secondaries: [<secondaries>]

network:
  # Every region takes its own fixed block of this space: of a /16 it is a /22.
  vpc_cidr: 10.0.0.0/16
  # Availability zones a region.
#  zones: 2
#  flow_logs: true
  # In the VPC the function needs interface endpoints, which cost money by the hour.
#  function_in_vpc: false
  # A block of its own for a region, where it must be another:
#  region_cidrs: {<primary>: 10.200.0.0/20}

# What the application reads in every region. Secrets come from the environment, a file or an existing
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
  # Small accounts refuse to reserve any.
#  reserved_concurrency: 10

# The roles and users that run this command: nobody else then writes records and state in the buckets.
#access:
#  operators: ["arn:aws:iam::123456789012:role/operators"]
  # The most that the environment's own roles may do, a policy that `regionshift bootstrap` makes.
#  boundary: <boundary>

# How long things are kept, in days. A migration can be undone while old versions are kept.
#retention:
#  logs: 30
#  old_versions: 30
#  access_logs: 90
#  aborted_uploads: 7
#  key_deletion: 30
#  secret_recovery: 30

# Who is told, and when: counts in five minutes, a share of the timeout, a delay.
#alerts:
#  emails: [team@example.com]
#  errors: 1
#  throttles: 1
#  duration_share: 0.8
#  replication_latency: 15m
#  runbooks: https://docs.example.com/regionshift/runbooks/   # each alarm links to its section of this page

# The data that `migrate` carries. {region} stands for the region of its side.
#carry:
#  s3:
#    - {prefix: uploads/}
#    - {bucket: "media-{region}", exclude: ["*.tmp"]}
#  ssm:
#    - {path: /shop/prod, rewrite: {arns: true}}
#  secrets:
#    - {tags: {Application: shop}}

# How a migration is done: pinned or full proof, and rollback or stop when something cannot be proven.
#migration:
#  verify: full
#  on_failure: rollback
#  keep_versions: false

# What the environment promises: what may be lost, and how long a migration may take.
#recovery:
#  rpo: 15m
#  rto: 1h

# How a change goes through the regions: the primary in the last wave, alarms watched after each wave.
#deployment:
#  waves: [<waves>]
#  bake: 10m
#  bake_min_samples: 10
#  failure_tolerance: 0
  # Resources that the engine works on at once.
#  max_parallel: 16
#  on_failure: rollback
  # Numbers of the waves before which a person is asked.
#  approve: [1]
  # The newest releases are kept, and every one for so many days; none in use ever goes.
#  keep_releases: 10
#  keep_days: 30
  # Alarms of your own that are watched too.
#  alarms: [{name: checkout-errors, region: <canary>}]

# Who may take the roles that `regionshift bootstrap` makes for a pipeline.
# On GitHub; with `gitlab` of that project on GitLab, whose jobs run in a container: name its image by digest.
#pipeline:
#  repository: octo-org/orders
#  branch: main
#  requirements: requirements.txt
#  gitlab: https://gitlab.com
#  image: example.com/tools@sha256:0000000000000000000000000000000000000000000000000000000000000000

# Findings of policies that are accepted until a day: docs/findings.md has the ids.
#waivers:
#  - {id: RS-DATA-001, of: "worker-*", reason: agreed with security, until: "2027-01-31"}

# Tags on everything, beside Project, Environment, Region, IsPrimary, ManagedBy and Purpose.
#tags: {Owner: platform}

# State, releases and journal: .regionshift/ beside this file, or one place for a team.
#state: s3://my-state-bucket/regionshift?region=eu-central-1
#state_secrets: awskms://alias/regionshift-state?region=<primary>

# Whether `destroy` refuses. Without it only the environment prod is protected.
#protect: false
"""
