/**
 * What takes the place of deploy.ts, rollback.ts and health-check.ts where the way to them is tested. Each says what it
 * was called with, holds the environment's lock, waits while `hold` is in STATE_DIR, and ends as its first argument
 * (`exits-3`) or STATE_DIR's `health` says. In sh, which starts in no time and which every signal ends that reaches it.
 */
const SCRIPT = `#!/bin/sh
verb=$(basename "$0" .ts)
state=\${STATE_DIR:-$(dirname "$0")/../state}
mkdir -p "$state"
case "$verb $*" in
  health-check*)
    echo "locale:$LC_ALL agent:$SSH_AUTH_SOCK display:$DISPLAY deploy_env:$DEPLOY_ENV"
    echo "$verb $*"
    exit "$(cat "$state/health" 2>/dev/null || echo 0)" ;;
  *--plan* | *--list*) echo "$verb $*"; exit ;;
esac
exec 9>>"$state/production.lock"
flock -n 9 || { echo 'another run holds the lock' >&2; exit 75; }
echo "at work, process $$" >&2
[ "$1" != talks ] || yes 0123456789abcde | head -n 200000
while [ -e "$state/hold" ]; do sleep 0.05; done
case $1 in exits-*) code=\${1#exits-} ;; *) code=0 ;; esac
echo "$verb $*"
echo "{\\"script\\":\\"$verb.ts\\",\\"exitCode\\":$code}" >>"$state/history.jsonl"
exit "$code"
`;

export const SSH_SCRIPTS: Record<string, string> = {
  'deploy.ts': SCRIPT,
  'rollback.ts': SCRIPT,
  'health-check.ts': SCRIPT,
};
