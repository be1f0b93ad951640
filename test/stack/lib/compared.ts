import * as assert from 'uvu/assert';
import type { Random } from '../../support/core/random.ts';
import { fault, PROTOCOLS, read } from './readings.ts';
import { targets } from './targets.ts';
import type { Reader } from './two-readers.ts';

/** Sends so many targets by each protocol. @throws unless all that pass are read alike by Nginx and Express */
export async function compare(reader: Reader, random: Random, count: number): Promise<void> {
  const list = targets(random, count);
  for (const protocol of PROTOCOLS) {
    const readings = await read(reader, protocol, list);
    const faults: string[] = [];
    let passed = 0;
    let refused = 0;
    for (const [index, reading] of readings.entries()) {
      const { text, kinds } = list[index]!;
      if (!reading) continue;
      if (reading.route) passed++;
      if (reading.status === 400) refused++;
      const wrong = fault(reading, text);
      if (wrong) faults.push(`${JSON.stringify(text)} (${kinds.join(' + ')}): ${wrong}`);
    }
    const where = `${reader.name}, ${protocol}, seed ${random.seed}`;
    assert.is(faults.length, 0, `${where}: ${faults.length} faults\n${faults.slice(0, 40).join('\n')}`);
    // Neither is everything refused, nor nothing, nor most of it without an answer.
    assert.ok(passed > count / 10, `${where}: ${passed} of ${list.length} passed`);
    assert.ok(refused > count / 4, `${where}: ${refused} of ${list.length} refused`);
    assert.ok(passed + refused > count / 2, `${where}: ${passed} passed, ${refused} refused`);
  }
}
