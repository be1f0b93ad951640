/** A whole backup: dump, verify, copy off-site, delete expired backups. */
import type { Config } from '../config/config.ts';
import { Exit } from '../core/errors.ts';
import { bytes, count, duration } from '../core/format.ts';
import { log } from '../core/log.ts';
import { logMissingChannels } from '../notify/notify.ts';
import { producer } from '../postgres/client.ts';
import { maintenanceOf } from '../postgres/databases.ts';
import { totalRows } from '../postgres/row-counts.ts';
import { openStore } from '../s3/open-store.ts';
import { localBackups, newestFirst } from './catalog.ts';
import { createBackup } from './create.ts';
import { dumpPipeline, globalsPipeline } from './dump-commands.ts';
import type { Format } from './manifest.ts';
import { copyOffsite, tryStore } from './offsite-copy.ts';
import { lookOffsite } from './offsite-look.ts';
import { planBackup } from './plan.ts';
import { retain } from './prune.ts';
import { signLocal, signStored, withSigningKey } from './signing-key.ts';
import { abortUnfinishedUploads } from './unfinished-copies.ts';

/**
 * Makes a backup. The caller holds the environment's lock.
 *
 * @returns the result; exit code 4 when only the off-site copy failed
 * @throws when there is no new backup; exit code 3 when the dump can't be read back
 */
export async function backUp(given: Config, wanted: { format: Format; label?: string; upload: boolean }) {
  const started = performance.now();
  let config = given;
  const store = config.s3 && wanted.upload ? await openStore(config.s3) : undefined;
  const [plan, refusal] = await Promise.all([planBackup(config, wanted.format), store && tryStore(store)]);
  logMissingChannels(config);
  log.changesBegin();
  const { notes, ...keyed } = await withSigningKey(config);
  config = keyed.config;
  const localSigned = await signLocal(config);
  const [previous] = newestFirst(await localBackups(config));
  const manifest = await createBackup(config, plan, wanted);
  const failure = store && (await copyOffsite(config, store, manifest, refusal));
  if (!failure && localSigned) await signStored(config, store);
  if (store && !failure) await abortUnfinishedUploads(config, store);
  const retention = await retain(config, store, manifest, previous?.manifest, failure);
  const warnings = [...notes, ...manifest.warnings, ...retention.warnings];
  const seconds = (performance.now() - started) / 1000;
  const offsite = failure
    ? 'FAILED'
    : store
      ? 'done'
      : wanted.upload
        ? 'not configured (S3_BUCKET is empty)'
        : 'skipped (--no-upload)';
  const rows = `${count(totalRows(manifest.tables))} rows`;
  return {
    exitCode: failure || retention.offsiteFailed ? Exit.offsite : Exit.done,
    text: [
      `backup ${manifest.id}: ${bytes(manifest.artifact.bytes)}, ${rows}, in ${duration(seconds)}; off-site copy: ${offsite}`,
      ...warnings,
    ].join('\n'),
    json: { backup: manifest, offsite, warnings, seconds },
  };
}

/** What {@link backUp} would do, after its checks; exit code 4 when there can be no off-site copy. */
export async function dryRun(config: Config, format: Format) {
  const plan = await planBackup(config, format);
  const { postgres, lockWait } = config;
  const commands = [
    dumpPipeline(postgres.database, format, 'SNAPSHOT', lockWait),
    globalsPipeline(maintenanceOf(postgres)),
  ].map(argv => producer(postgres, argv).argv);
  const offsite = config.s3 ? `s3://${config.s3.bucket}/${config.s3.prefix}/` : 'not configured';
  const look = config.s3 && (await lookOffsite(config.s3));
  return {
    exitCode: look?.exitCode ?? Exit.done,
    text: [
      `would back up ${postgres.database} into ${config.backupDir}, about ${bytes(plan.estimate)}:`,
      ...commands.map(argv => `  ${argv.join(' ')}`),
      `off-site copy: ${offsite}`,
      ...(look?.lines ?? []).map(line => `  ${line}`),
    ].join('\n'),
    json: { dryRun: true, estimate: plan.estimate, commands, offsite, store: look ?? null },
  };
}
