#!/usr/bin/env bash
# For the GPU machine, as ACTIONS_RUNNER_HOOK_JOB_STARTED: the runner calls it before the first step of a
# job, and the job has failed where it fails. A pull request can bring a workflow of its own that asks for
# this runner; what may run here are two files, as they are on main, and what starts them. A brake, no
# wall: steps with `if: always()` run in a failed job too. .github/RUNNER.md says what else it takes.
set -eu

refuse() {
  echo "::error::this runner refuses the job: $1" >&2
  exit 1
}

case "${GITHUB_WORKFLOW_REF:-}" in
"${GITHUB_REPOSITORY:?}/.github/workflows/nightly.yml@refs/heads/main") ;;
"${GITHUB_REPOSITORY:?}/.github/workflows/refresh.yml@refs/heads/main") ;;
*) refuse "it is of ${GITHUB_WORKFLOW_REF:-no known workflow}, and only nightly.yml and refresh.yml of main are let in" ;;
esac
case "${GITHUB_EVENT_NAME:-}" in
schedule | workflow_dispatch) ;;
*) refuse "${GITHUB_EVENT_NAME:-nothing known} started it, and only the clock and people with write access may" ;;
esac
[ "${GITHUB_REF:-}" = refs/heads/main ] || refuse "it is of ${GITHUB_REF:-no known branch}, and only main is measured here"
