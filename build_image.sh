#!/usr/bin/env bash
# Builds the image of Podium for an environment, and with --deploy brings it there:
#
#   ./build_image.sh staging|production [--deploy]
#
# The image is tagged podium:ENVIRONMENT, podium:latest and podium:COMMIT. --deploy pushes podium:COMMIT to the account's ECR, tells
# Terraform of it (parameter /podium/ENVIRONMENT/image) and rolls the ECS services that exist: coordinators first, so that gateways
# never ask a coordinator for what it does not know yet; each service takes a step back by itself if the new tasks don't get healthy.
#
#   CONTAINER_ENGINE   docker (default) or podman
#   AWS_REGION         region of the environment; with --deploy
set -euo pipefail
cd "$(dirname "$0")"

usage() {
    sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
    exit 64
}

fail() {
    echo "build_image.sh: $*" >&2
    exit 1
}

[ $# -ge 1 ] && [ $# -le 2 ] || usage
environment=$1
case "$environment" in staging | production) ;; *) usage ;; esac
deploy=${2:-}
case "$deploy" in "" | --deploy) ;; *) usage ;; esac

engine=${CONTAINER_ENGINE:-docker}
command -v "$engine" >/dev/null || fail "$engine is not installed; set CONTAINER_ENGINE to docker or podman"
# Chronicle, the versioned workspace, is part of this repository and of the image.
for part in src/podium src/chronicle src/diminuendo typescript/agent uv.lock; do
    [ -e "$part" ] || fail "$part is missing; build from a whole checkout"
done

revision=$(git rev-parse --short=12 HEAD)
if [ -n "$(git status --porcelain -- src typescript/agent pyproject.toml uv.lock deploy/docker)" ]; then
    [ -z "$deploy" ] || fail "there are changes that are not committed; what is deployed must be a commit"
    revision=$revision-changed
fi

# Docker's format keeps the health check, which OCI's has no place for; docker itself knows no other.
format=()
[ "$(basename "$engine")" = docker ] || format=(--format docker)
echo "building podium:$environment from $revision"
"$engine" build "${format[@]}" --file deploy/docker/Dockerfile --target podium --build-arg "REVISION=$revision" \
    --tag "podium:$environment" --tag "podium:latest" --tag "podium:$revision" .
[ -n "$deploy" ] || exit 0

# ── --deploy ────────────────────────────────────────────────────────────────────────────────────────────────
command -v aws >/dev/null || fail "--deploy needs the AWS CLI"
[ -n "${AWS_REGION:-}" ] || fail "--deploy needs AWS_REGION"
export AWS_PAGER=""
account=$(aws sts get-caller-identity --query Account --output text)
registry=$account.dkr.ecr.$AWS_REGION.amazonaws.com
image=$registry/podium:$revision
cluster=podium-$environment

if aws ecr describe-images --repository-name podium --image-ids "imageTag=$revision" >/dev/null 2>&1; then
    echo "$image is there already" # tags are never given twice
else
    # The password goes through a pipe: nobody sees it in a list of processes.
    aws ecr get-login-password | "$engine" login --username AWS --password-stdin "$registry"
    "$engine" tag "podium:$revision" "$image"
    "$engine" push "$image"
fi
aws ssm put-parameter --name "/podium/$environment/image" --type String --overwrite --value "$image" >/dev/null

# shellcheck disable=SC2016 # the back quotes are the query's
services=$(aws ecs describe-services --cluster "$cluster" --services coordinator gateway diminuendo \
    --query 'services[?status==`ACTIVE`].serviceName' --output text 2>/dev/null || true)
if [ -z "$services" ]; then
    echo "pushed $image; nothing runs in $cluster yet: apply deploy/terraform/environments/$environment"
    exit 0
fi
for service in coordinator gateway diminuendo; do
    case " $(tr '\t' ' ' <<<"$services") " in *" $service "*) ;; *) continue ;; esac
    # The newest revision of the family as it is, with the new image.
    definition=$(aws ecs describe-task-definition --task-definition "$cluster-$service" --query taskDefinition --output json |
        python3 deploy/docker/with_image.py "$service" "$image")
    arn=$(aws ecs register-task-definition --cli-input-json "$definition" \
        --query taskDefinition.taskDefinitionArn --output text)
    aws ecs update-service --cluster "$cluster" --service "$service" --task-definition "$arn" >/dev/null
    echo "rolling $service to $arn"
    aws ecs wait services-stable --cluster "$cluster" --services "$service"
done
echo "deployed $image"
