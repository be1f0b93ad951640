import type { Config } from './config.ts';
import { log } from './log.ts';
import { databaseUrl } from './postgres.ts';
import { run } from './shell.ts';

type Migrations = NonNullable<Config['migrate']>;

/**
 * Runs the product's migrations against one database, in a one-off container of the backend's image or here.
 * A failure leaves the live database untouched.
 */
export async function runMigrations(config: Config, database: string, wanted: boolean): Promise<void> {
  if (!config.migrate) log.info('migrations: not configured (BACKEND_IMAGE and MIGRATE_COMMAND are empty)');
  else if (!wanted) log.info('migrations: skipped');
  else {
    await migrate(config, config.migrate, database);
    log.done(`migrated: ${config.migrate.command}`);
  }
}

async function migrate(config: Config, settings: Migrations, database: string): Promise<void> {
  const { postgres } = config;
  const env = { DATABASE_URL: databaseUrl(postgres, database) };
  const purpose = `run the migrations (${settings.command})`;
  const hint = 'the live database was not touched. Add --no-migrate to restore without migrating.';
  const limits = { purpose, hint, timeout: 3600 };
  if (!settings.image) {
    await run(['bash', '-c', settings.command], { ...limits, env });
    return;
  }
  const name = `${config.app}-migrate-${config.environment}`;
  const remove = () =>
    run(['docker', 'rm', '--force', name], { purpose: `remove container ${name}`, evenInterrupted: true });
  await remove(); // of a run that was killed
  // In the database container's network, where it is 127.0.0.1 whatever the networks are called.
  const network = postgres.container ? `container:${postgres.container}` : 'host';
  const argv = [
    'docker',
    'run',
    '--rm',
    '--name',
    name,
    '--network',
    network,
    '--env',
    'DATABASE_URL',
    settings.image,
  ];
  try {
    await run([...argv, 'sh', '-c', settings.command], { ...limits, env });
  } finally {
    await remove();
  }
}
