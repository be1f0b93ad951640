import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { oldLines } from '../../scripts/lib/core/old-cron.ts';

const OLD = [
  '0 2 * * * /opt/neurmatic/infrastructure/scripts/backup.sh',
  '0 2 * * * root /opt/neurmatic/infrastructure/scripts/backup.sh >> /var/log/backup.log 2>&1',
  '@daily cd /opt/neurmatic/infrastructure/scripts && ./backup.sh',
  '*/5 * * * * /opt/neurmatic/infrastructure/scripts/health-check.sh --json | mail ops',
  '0 2 * * * . /opt/neurmatic/.env.production; bash "/srv/scripts/backup.sh"',
  '0 2 * * * /root/backup.sh --force',
  '0 2 * * * cd /opt/neurmatic && docker-compose -f docker-compose.production.yml --profile backup run --rm backup',
  '0 2 * * * docker compose -f /opt/neurmatic/docker-compose.production.yml up backup',
  '\t0 2\t* * *\t/opt/neurmatic/infrastructure/scripts/backup.sh',
  'exec /opt/neurmatic/infrastructure/scripts/backup.sh',
];
const OTHERS = [
  '# 0 2 * * * /opt/neurmatic/infrastructure/scripts/backup.sh',
  '  #0 2 * * * /opt/neurmatic/infrastructure/scripts/backup.sh',
  '0 2 * * * /opt/neurmatic-stack/scripts/backup.ts',
  '0 2 * * * docker compose -f docker-compose.production.yml --env-file .env.production run --rm backup ./scripts/backup.ts',
  '@reboot docker compose -f docker-compose.production.yml --env-file .env.production up -d backup',
  '0 2 * * * /usr/local/bin/mysql-backup.shell',
  '0 2 * * * /usr/local/bin/not-backup.sh',
  'MAILTO=backup@example.com',
  '',
];

test('a line that runs an old script is found, in whichever way it does', () => {
  for (const line of OLD) assert.equal(oldLines(`MAILTO=x\n${line}\n`), [line.trim()], line);
});

test('the value of a variable is not shown', () => {
  for (const value of ['s3cret', "'s3cret word'", '"s3cret word"'])
    assert.equal(oldLines(`0 2 * * * PGPASSWORD=${value} DB_NAME=x /root/backup.sh`), [
      '0 2 * * * PGPASSWORD=… DB_NAME=… /root/backup.sh',
    ]);
});

test('other lines are not, nor comments', () => {
  for (const line of OTHERS) assert.equal(oldLines(line), [], line);
  assert.equal(oldLines(OTHERS.join('\n')), []);
});

test.run();
