/** Variables of notifications, the schedule and the directories that scripts write to. */
import { cron, directory, type Group, readBy, span, text, url } from './types.ts';

export const notifications = readBy('all scripts that notify', {
  SLACK_WEBHOOK_URL: {
    meaning:
      'A Slack incoming webhook: gets the result of each backup, restore and drill, and other failures.',
    type: url,
  },
  WEBHOOK_URL: {
    meaning:
      'Any program that takes JSON by POST: app, environment, time, script, exitCode (of the run that the message is ' +
      'about) and text.',
    type: url,
  },
  BACKUP_PING_URL: {
    meaning: 'A dead man’s switch such as healthchecks.io: gets /start, then /<exit code>.',
    type: url,
    readBy: 'backup',
  },
});

export const schedule = {
  SCHEDULE_BACKUP: {
    meaning:
      'Five fields of cron, in UTC whatever the server’s time zone, or off. After a change: ' +
      './scripts/schedule.ts install --env ENVIRONMENT, or ' +
      'docker compose -f docker-compose.ENVIRONMENT.yml --env-file .env.ENVIRONMENT up -d backup.',
    type: cron,
    default: '0 2 * * *',
    readBy: 'schedule, backup service; health-check, for the age of the backup',
  },
  SCHEDULE_HEALTH_CHECK: {
    meaning: 'In the same format. Always off in the backup service.',
    type: cron,
    default: '*/5 * * * *',
    readBy: 'schedule',
  },
  SCHEDULE_DRILL: {
    meaning: 'In the same format.',
    type: cron,
    default: '0 4 1 1,4,7,10 *',
    readBy: 'schedule, backup service',
  },
  SCHEDULE_LOAD_CHECK: {
    meaning:
      'In the same format. When it is due, LOAD_CHECK decides. Set it to a time when the backup has ended.',
    type: cron,
    default: '0 3 * * *',
    readBy: 'schedule, backup service; health-check, for the age of the newest loaded backup',
  },
  SCHEDULE_CERTIFICATES: {
    meaning:
      'In the same format: when to look whether the certificate is due, twice a day. Choose a minute of your own. Always ' +
      'off in the backup service.',
    type: cron,
    default: '37 5,17 * * *',
    readBy: 'schedule',
  },
  SCHEDULE_WEEKLY: {
    meaning:
      'In the same format: when maintenance.ts weekly runs, which cleans up, vacuums and reports. Choose a quiet hour. ' +
      'Always off in the backup service.',
    type: cron,
    default: '0 5 * * 0',
    readBy: 'schedule',
  },
  SCHEDULE_MAILTO: {
    meaning: 'Recipient of cron’s mails, on a server that can send mail. Default: the crontab’s user.',
    type: text('an address or user name', /^[\w.@+-]+$/),
    readBy: 'the lines that schedule installs in the crontab',
  },
} satisfies Group;

export const directories = readBy('all scripts', {
  LOG_DIR: { meaning: 'Directory of the log files.', type: directory, default: 'logs' },
  STATE_DIR: {
    meaning: 'Directory of locks, the history of runs, the releases and unsent messages.',
    type: directory,
    default: 'state',
  },
  HOOKS_DIR: {
    meaning:
      'Directory of your own programs that run before and after backups and deployments, and on alerts; hooks/ has samples.',
    type: directory,
    default: 'hooks',
  },
  HOOK_TIMEOUT: {
    meaning: 'How long one of these programs may take.',
    type: span,
    default: '5m',
  },
});
