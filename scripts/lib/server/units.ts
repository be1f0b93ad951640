/** Units of systemd: whether they run, and whether the next start of the server starts them. */
import { sh } from '../core/shell.ts';

/** @returns for each unit that does not run, or would not after a restart of the server, a line that says so */
export async function unitDifferences(names: string[]): Promise<string[]> {
  const all = await Promise.all(
    names.map(async name => {
      const [active, enabled] = [await state('is-active', name), await state('is-enabled', name)];
      return [
        ...(active === 'active' ? [] : [`${name} does not run (${active})`]),
        ...(/^(enabled|static|alias|generated|indirect)/.test(enabled)
          ? []
          : [`${name} does not start with the server (${enabled})`]),
      ];
    }),
  );
  return all.flat();
}

/** @returns the answer of `systemctl is-active` or `is-enabled`, whose exit status says the same */
export async function state(verb: 'is-active' | 'is-enabled', name: string): Promise<string> {
  const asked = await sh(`ask for the state of ${name}`)`systemctl ${verb} ${name} 2>/dev/null || true`;
  return asked.trim() || 'not found';
}

/**
 * Starts those that {@link unitDifferences} names, now and with the server.
 * @returns what it did
 * @throws CommandError of the first that does not start
 */
export async function startUnits(names: string[]): Promise<string[]> {
  const done: string[] = [];
  for (const name of names) {
    if ((await unitDifferences([name])).length === 0) continue;
    if (/^masked/.test(await state('is-enabled', name))) await sh(`unmask ${name}`)`systemctl unmask ${name}`;
    await sh(`start ${name}`, {
      timeout: 120,
      hint: `see why: systemctl status ${name}; journalctl -u ${name} -n 50`,
    })`systemctl enable --now ${name}`;
    done.push(`started ${name}`);
  }
  return done;
}
