/** A whole backup: dump, verify, copy off-site, delete expired backups. */
import type { Config, S3Settings } from '../config/config.ts';
import { Exit, exitCodeOf, messageOf, type OperationalError } from '../core/errors.ts';
import { bytes, count, duration } from '../core/format.ts';
import { log } from '../core/log.ts';
import { preflight } from '../core/preflight.ts';
import { attempt } from '../core/signals.ts';
import { checkHooks, runHook } from '../hooks/hooks.ts';
import { logMissingChannels } from '../notify/notify.ts';
import { producer } from '../postgres/client.ts';
import { maintenanceOf } from '../postgres/databases.ts';
import { totalRows } from '../postgres/row-counts.ts';
import { LOOK_RETRY_SECONDS } from '../s3/look.ts';
import { openStore, type Store } from '../s3/open-store.ts';
import { localBackups, newestFirst } from './catalog.ts';
import { createBackup } from './create.ts';
import { dumpPipeline, globalsPipeline, pasteableDump } from './dump-commands.ts';
import type { Format } from './manifest.ts';
import { copyOffsite, tryStore } from './offsite-copy.ts';
import { lookOffsite } from './offsite-look.ts';
import { type BackupPlan, planBackup } from './plan.ts';
import { retain } from './prune.ts';
import { describeSent, findMissing, missCopy, sendMissing } from './send-missing.ts';
import { signLocal, signStored, withSigningKey } from './signing-key.ts';
import { abortUnfinishedUploads } from './unfinished-copies.ts';
import { whoBacksUp } from './unreadable-objects.ts';

interface Wanted {
  format: Format;
  label?: string;
  upload: boolean;
  sendMissing?: boolean;
}

const HOOKS = ['pre-backup', 'post-backup', 'on-alert'] as const;

/**
 * Makes a backup. The caller holds the environment's lock.
 *
 * @param wanted `sendMissing`: once its copy is in the store, those that earlier backups miss are sent
 * @returns the result; exit code 4 when only the off-site copy failed
 * @throws when there is no new backup; exit code 3 when the dump can't be read back
 */
export async function backUp(given: Config, wanted: Wanted) {
  const { postgres, warnings } = await whoBacksUp(given);
  const config: Config = { ...given, postgres };
  const store = config.s3 && wanted.upload ? await openStore(config.s3) : undefined;
  const [plan, refusal] = await Promise.all([planned(config, wanted.format), store && tryStore(store)]);
  logMissingChannels(config);
  const facts = { database: postgres.database, format: wanted.format, label: wanted.label ?? null };
  await runHook(config, 'pre-backup', { ...facts, estimatedBytes: plan.estimate });
  try {
    const result = await backUpPlanned(config, wanted, { plan, store, refusal, roleWarnings: warnings });
    const { backup, offsite } = result.json;
    await runHook(config, 'post-backup', { ...facts, exitCode: result.exitCode, backup: backup.id, offsite });
    return result;
  } catch (error) {
    // It may have to take back what pre-backup has done.
    const failed = { exitCode: exitCodeOf(error), error: messageOf(error), backup: null, offsite: null };
    await runHook(config, 'post-backup', { ...facts, ...failed });
    throw error;
  }
}

/** @throws all that is wrong at once */
async function planned(config: Config, format: Format): Promise<BackupPlan> {
  const [plan] = await preflight(
    () => planBackup(config, format),
    async () => checkHooks(config, HOOKS),
  );
  return plan;
}

interface Begun {
  plan: BackupPlan;
  store: Store | undefined;
  /** Why the store can't be used now. */
  refusal: OperationalError | undefined;
  roleWarnings: string[];
}

async function backUpPlanned(given: Config, wanted: Wanted, { plan, store, refusal, roleWarnings }: Begun) {
  const started = performance.now();
  let config = given;
  log.changesBegin();
  const { notes, ...keyed } = await withSigningKey(config);
  config = keyed.config;
  const localSigned = await signLocal(config);
  const [previous] = newestFirst(await localBackups(config));
  const manifest = await createBackup(config, plan, { ...wanted, offsite: wanted.upload });
  const failure = store && (await copyOffsite(config, store, manifest, refusal));
  if (!failure && localSigned) await signStored(config, store);
  if (store && !failure) await abortUnfinishedUploads(config, store);
  const missing = store && !failure && wanted.sendMissing ? await sendMissing(config, store) : undefined;
  const retention = await retain(config, store, manifest, previous?.manifest, failure);
  const warnings = [
    ...roleWarnings,
    ...notes,
    ...manifest.warnings,
    ...(missing?.warnings ?? []),
    ...retention.warnings,
  ];
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
    exitCode: failure || missing?.offsiteFailed || retention.offsiteFailed ? Exit.offsite : Exit.done,
    text: [
      `backup ${manifest.id}: ${bytes(manifest.artifact.bytes)}, ${rows}, in ${duration(seconds)}; off-site copy: ${offsite}`,
      ...(missing ? describeSent(missing) : []),
      ...warnings,
    ].join('\n'),
    json: {
      backup: manifest,
      offsite,
      sent: missing?.sent ?? [],
      left: missing?.left ?? null,
      warnings,
      seconds,
    },
  };
}

/** What {@link backUp} would do, after its checks; exit code 4 when there can be no off-site copy. */
export async function dryRun(given: Config, format: Format) {
  const { postgres } = await whoBacksUp(given);
  const config: Config = { ...given, postgres };
  const plan = await planned(config, format);
  const { lockWait } = config;
  const commands = [
    dumpPipeline(postgres.database, format, 'SNAPSHOT', lockWait),
    globalsPipeline(maintenanceOf(postgres)),
  ].map(argv => producer(postgres, argv).argv);
  const offsite = config.s3 ? `s3://${config.s3.bucket}/${config.s3.prefix}/` : 'not configured';
  const look = config.s3 && (await lookOffsite(config.s3));
  const missing = config.s3 && look?.facts ? await lookForMissing(config, config.s3) : [];
  return {
    exitCode: look?.exitCode ?? Exit.done,
    text: [
      `would back up ${postgres.database} into ${config.backupDir}, about ${bytes(plan.estimate)}:`,
      ...pasteableDump(postgres, maintenanceOf(postgres), format, lockWait).map(line => `  ${line}`),
      ...(postgres.container || !postgres.password
        ? []
        : ['  Pasted, they need PGPASSWORD in the environment.']),
      `off-site copy: ${offsite}`,
      ...(look?.lines ?? []).map(line => `  ${line}`),
      ...(missing.length > 0 ? [`  ${missCopy(missing.length)}: ${missing.join(', ')}`] : []),
    ].join('\n'),
    json: { dryRun: true, estimate: plan.estimate, commands, offsite, store: look ?? null, missing },
  };
}

/** @returns the ids of the backups that miss their copy; none if the store does not say */
async function lookForMissing(config: Config, settings: S3Settings): Promise<string[]> {
  const { value = [] } = await attempt(async () =>
    findMissing(config, await openStore(settings, LOOK_RETRY_SECONDS)),
  );
  return value.map(({ id }) => id);
}
