"""The published ways from some permissions to more: which actions together, and what they give. Pure data.

The sources, with the names of their entries: Rhino Security Labs, "AWS IAM Privilege Escalation Methods" (1 to 28);
DataDog's pathfinding.cloud (``iam-001`` …); Salesforce's cloudsplaining (`PRIVILEGE_ESCALATION_METHODS`); Prowler
(`privilege_escalation.py`). A test compares the tables with their lists. Where two sources differ, this table has the
shorter combination, which covers the longer one: a function that runs by itself need not be invoked.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PASS_ROLE = "iam:PassRole"
ASSUME_ROLE = "sts:AssumeRole"

CHANGES_PERMISSIONS: Mapping[str, str] = MappingProxyType(
    {
        "iam:AddUserToGroup": "joins a group",
        "iam:AttachGroupPolicy": "attaches any policy to a group",
        "iam:AttachRolePolicy": "attaches any policy to a role",
        "iam:AttachUserPolicy": "attaches any policy to a user",
        "iam:CreateAccessKey": "makes an access key of another user",
        "iam:CreateLoginProfile": "makes a password of another user",
        "iam:CreatePolicyVersion": "rewrites a policy",
        "iam:PutGroupPolicy": "writes a policy of a group",
        "iam:PutRolePolicy": "writes a policy of a role",
        "iam:PutUserPolicy": "writes a policy of a user",
        "iam:SetDefaultPolicyVersion": "puts another version of a policy in force",
        "iam:UpdateAssumeRolePolicy": "says who may assume a role",
        "iam:UpdateLoginProfile": "changes the password of another user",
        # IAM User Guide, "Permissions boundaries for IAM entities", "Delegating responsibility to others using
        # permissions boundaries": the boundary does not limit a caller that may remove it.
        "iam:DeleteRolePermissionsBoundary": "takes a role's boundary away",
        "iam:DeleteUserPermissionsBoundary": "takes a user's boundary away",
        "iam:PutRolePermissionsBoundary": "gives a role another boundary",
        "iam:PutUserPermissionsBoundary": "gives a user another boundary",
    }
)
"""What each action does to the permissions of a principal."""

BOUND_BY_BOUNDARY = frozenset(
    {
        "iam:AttachRolePolicy",
        "iam:AttachUserPolicy",
        "iam:PutRolePermissionsBoundary",
        "iam:PutRolePolicy",
        "iam:PutUserPermissionsBoundary",
        "iam:PutUserPolicy",
    }
)
"""The actions that a condition on ``iam:PermissionsBoundary`` limits to the boundary (Service Authorization Reference,
"Actions defined by AWS Identity and Access Management (IAM)")."""


def _ways(*combinations: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(each.split()) for each in combinations)


WITH_PASSED_ROLE = _ways(
    "apprunner:CreateService",
    "autoscaling:CreateLaunchConfiguration autoscaling:CreateAutoScalingGroup",
    "autoscaling:CreateLaunchConfiguration autoscaling:UpdateAutoScalingGroup",
    "bedrock-agentcore:CreateCodeInterpreter bedrock-agentcore:InvokeCodeInterpreter",
    "cloudformation:CreateStack",
    "cloudformation:CreateStackSet cloudformation:CreateStackInstances",
    "cloudformation:UpdateStackSet",
    "codebuild:CreateProject codebuild:StartBuild",
    "codebuild:CreateProject codebuild:StartBuildBatch",
    "codestar:CreateProject",
    "datapipeline:CreatePipeline",
    "ec2:RequestSpotInstances",
    "ec2:RunInstances",
    "ecs:RegisterTaskDefinition ecs:CreateService",
    "ecs:RunTask",
    "ecs:StartTask",
    "glue:CreateDevEndpoint",
    "glue:CreateJob glue:CreateTrigger",
    "glue:CreateJob glue:StartJobRun",
    "glue:UpdateJob glue:CreateTrigger",
    "glue:UpdateJob glue:StartJobRun",
    "lambda:CreateFunction",
    "lambda:UpdateFunctionConfiguration",
    "sagemaker:CreateNotebookInstance",
    "sagemaker:CreateProcessingJob",
    "sagemaker:CreateTrainingJob",
    # Not in the lists: a state machine calls any API with its role's rights (Step Functions Developer Guide,
    # "Learning to use AWS service SDK integrations").
    "states:CreateStateMachine states:StartExecution",
    "states:UpdateStateMachine states:StartExecution",
)
"""The actions that, with `PASS_ROLE`, run a caller's own code or calls with the rights of the passed role."""

OF_STANDING_ROLE = _ways(
    "apprunner:UpdateService",
    "bedrock-agentcore:InvokeCodeInterpreter bedrock-agentcore:StartCodeInterpreterSession",
    "cloudformation:CreateChangeSet cloudformation:ExecuteChangeSet",
    "cloudformation:UpdateStack",
    "codebuild:StartBuild",
    "codebuild:StartBuildBatch",
    "codestar:CreateProject codestar:AssociateTeamMember",
    "codestar:CreateProjectFromTemplate",
    "ec2-instance-connect:SendSSHPublicKey",
    "ec2:CreateLaunchTemplateVersion ec2:ModifyLaunchTemplate",
    "ec2:ModifyInstanceAttribute ec2:StartInstances ec2:StopInstances",
    "ecs:ExecuteCommand",
    "glue:UpdateDevEndpoint",
    "lambda:UpdateFunctionCode",
    "lambda:UpdateFunctionConfiguration",
    "sagemaker:CreateNotebookInstanceLifecycleConfig sagemaker:UpdateNotebookInstance",
    "sagemaker:CreatePresignedNotebookInstanceUrl",
    "ssm:SendCommand",
    "ssm:StartSession",
)
"""The actions that run a caller's own code with the rights of a role of an existing resource."""
