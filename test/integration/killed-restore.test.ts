import { readdirSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { databases } from '../support/compare.ts';
import { begin, change, stateOf, succeed } from '../support/expect.ts';
import { pauseProgram } from '../support/pause.ts';
import { inWorld, type World } from '../support/world.ts';

const SWAP = 'RENAME TO';

const hidden = (world: World) => readdirSync(world.env.BACKUP_DIR!).filter(name => name.startsWith('.'));

test('killed or interrupted at any moment of the load and the swap: the old state or the new, and the next run succeeds', () =>
  inWorld(async world => {
    await begin(world);
    const { backup } = await succeed(world, 'backup', '--format', 'custom', '--no-upload');
    const moments = [
      {
        program: 'pg_restore',
        words: '--jobs',
        when: 'before',
        signal: 'SIGKILL',
        swapped: false,
        code: null,
      },
      { program: 'pg_restore', words: '--jobs', when: 'after', signal: 'SIGTERM', swapped: false, code: 143 },
      { program: 'psql', words: SWAP, when: 'before', signal: 'SIGKILL', swapped: false, code: null },
      { program: 'psql', words: SWAP, when: 'after', signal: 'SIGKILL', swapped: true, code: null },
      // In the swap a signal comes too late: what is reported is what happened.
      { program: 'psql', words: SWAP, when: 'before', signal: 'SIGTERM', swapped: true, code: 0 },
      { program: 'psql', words: SWAP, when: 'after', signal: 'SIGINT', swapped: true, code: 0 },
    ] as const;
    for (const { program, words, when, signal, swapped, code } of moments) {
      const moment = `${signal} ${when} ${program} ${words}`;
      await change(world, 'live');
      const pause = pauseProgram(world, program, words, when);
      const restore = world.start('restore', ['latest', '--yes'], pause.env);
      await pause.reached();
      restore.child.kill(signal);
      if (code === 0) pause.go(); // it waits for the swap, as it should
      const ended = await restore.ended;
      assert.is(ended.code, code, `${moment}: ${ended.stderr}`);
      assert.is(await stateOf(world), swapped ? 'backed up' : 'live', moment);
      if (code === 0) assert.match(ended.stdout, /the database as it was is app_before_/);
      if (code === 143) {
        assert.match(ended.stderr, /interrupted by SIGTERM/);
        assert.equal([await databases(world), hidden(world)], [['app'], []], moment);
      }
      const left = await databases(world);
      assert.is(left.filter(name => name.startsWith('app_before_')).length, swapped ? 1 : 0, moment);

      await change(world, 'live');
      const next = await succeed(world, 'restore', 'latest', '--yes');
      assert.is(next.restored, backup.id);
      assert.is(await stateOf(world, next.kept), 'live');
      assert.equal(hidden(world), [], `${moment}: no file is left`);
      assert.not.ok(
        (await databases(world)).some(name => name.startsWith('app_new_')),
        moment,
      );
      await succeed(world, 'restore', '--finish', '--yes');
      assert.equal(await databases(world), ['app'], moment);
    }
  }));

test.run();
