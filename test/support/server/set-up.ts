/** What setup-server.ts does on a real server: it is run, run again, repaired and restarted. */
import * as assert from 'uvu/assert';
import { BREAKS } from './breaks.ts';
import type { Machine } from './machine.ts';

interface Report {
  ok: boolean;
  steps: {
    step: string;
    found: string;
    differences: string[];
    done: string[];
    left: string[];
    error?: string;
  }[];
}

/** Runs it with `--json`. */
export async function setUp(
  machine: Machine,
  options: string,
): Promise<Report & { code: number; stderr: string }> {
  const { code, stdout, stderr } = await machine.script(`setup-server.ts --json ${options}`);
  try {
    return { code, stderr, ...(JSON.parse(stdout) as Report) };
  } catch {
    throw new Error(`no JSON: ${stdout}${stderr}`);
  }
}

/** Where Docker's own repository can't be reached, its step says so on a release whose Docker is too old, and nothing else. */
const UNREACHABLE =
  /^can't read https:\/\/download\.docker\.com\/.*\n.*the Docker of this distribution is too old/;
const isReachable = ({ error = '' }: Report['steps'][number]) => !UNREACHABLE.test(error);

const doneIn = ({ steps }: Report) => steps.flatMap(({ step, done }) => done.map(each => `${step}: ${each}`));
const leftIn = ({ steps }: Report) =>
  steps
    .filter(isReachable)
    .flatMap(({ step, left, error }) => [...left, ...(error ? [error] : [])].map(each => `${step}: ${each}`));
const isDone = (report: Report & { code: number }) =>
  assert.is(report.code, report.steps.every(isReachable) ? 0 : 1);

/** All steps succeed, a second run changes nothing, and a look finds nothing. */
export async function assertSetsUp(machine: Machine): Promise<void> {
  const before = await setUp(machine, '--check');
  assert.is(before.code, 1);
  assert.equal(doneIn(before), []);
  const first = await setUp(machine, '--yes');
  assert.equal(leftIn(first), [], first.stderr);
  isDone(first);
  await assertUnchanged(machine);
}

export async function assertUnchanged(machine: Machine): Promise<void> {
  const again = await setUp(machine, '--yes');
  const why = again.steps.flatMap(({ differences }) => differences).join('\n');
  assert.equal([...doneIn(again), ...leftIn(again)], [], why);
  isDone(again);
  const look = await setUp(machine, '--check');
  const missing = again.steps.every(isReachable) ? [] : ['docker: Docker is not installed'];
  assert.equal(leftIn(look), missing);
  assert.is(look.code, missing.length > 0 ? 1 : 0);
}

/** Each of the things that can be broken is named in its step, together with all others; one run mends them. */
export async function assertMends(machine: Machine, breaks = BREAKS): Promise<void> {
  for (const { how } of breaks) await machine.run(how);
  const look = await setUp(machine, '--check');
  assert.is(look.code, 1);
  for (const { step, says } of breaks) {
    const found = look.steps.find(each => each.step === step)!;
    assert.match([...found.differences, found.error ?? ''].join('\n'), says);
  }
  const broken = new Set(breaks.map(({ step }) => step));
  const others = look.steps.filter(
    ({ step, left }) => left.length > 0 && !broken.has(step) && `${left}` !== 'Docker is not installed',
  );
  assert.equal(others, [], 'nothing else is called broken');
  const mended = await setUp(machine, '--yes');
  assert.equal(leftIn(mended), []);
  await assertUnchanged(machine);
}
