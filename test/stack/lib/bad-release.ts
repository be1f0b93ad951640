/** Releases that turn out badly. */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { assertNothingLeft, serving } from './deploy-state.ts';
import { type Deployable, UNSAVED } from './deployable.ts';

/** Arguments of a deployment that leaves the frontend as it is. */
export const backendOf = (tag: string): string[] => [tag, '1.0.0', ...UNSAVED];

/** Further variables of the application, of the new release, from its start on. */
export async function told<T>({ stack }: Deployable, variables: string, body: () => Promise<T>): Promise<T> {
  const file = join(stack.directory, `.env.${stack.environment}.app`);
  const text = readFileSync(file, 'utf8');
  appendFileSync(file, variables);
  try {
    return await body();
  } finally {
    writeFileSync(file, text);
  }
}

/** @throws unless all is, in the end, as it was when `first` was looked at */
export async function assertAs(d: Deployable, first: Awaited<ReturnType<typeof serving>>): Promise<void> {
  assert.equal(await serving(d.stack), first);
  await assertNothingLeft(d);
}
