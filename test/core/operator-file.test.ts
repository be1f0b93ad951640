import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../../scripts/lib/config/config.ts';
import { rewrite } from '../../scripts/lib/core/operator-file.ts';
import { startChild } from '../support/core/child.ts';
import { killedAnywhere } from '../support/core/rewritten.ts';

const OLD = 'A=1\r\n# why\nB=2';
const NEW = 'A=1\r\n# why\nB=3\nC=4';

async function withFile(body: (path: string, directory: string) => unknown): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'operator-file-'));
  try {
    const path = join(directory, 'env');
    writeFileSync(path, OLD, { mode: 0o600 });
    await body(path, directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Rewrites in a process of this user, who has this group too. @returns its error */
async function rewriteAs(user: number, groups: number[], path: string): Promise<string> {
  const code = `import { rewrite } from ${JSON.stringify(join(ROOT, 'scripts/lib/core/operator-file.ts'))};
    process.setgroups(${JSON.stringify(groups)}); process.setgid(${user}); process.setuid(${user});
    await rewrite(process.argv[1], ${JSON.stringify(NEW)});`;
  const child = startChild(process.execPath, ['--input-type=module', '-e', code, path]);
  const { code: status } = await child.exited;
  return status === 0 ? '' : child.output();
}

/** All but the content and the times. */
function attributes(path: string) {
  const { mode, uid, gid, nlink } = statSync(path);
  return [mode.toString(8), uid, gid, nlink];
}

test('the content changes as a whole; mode, owner and group stay', () =>
  withFile(async (path, directory) => {
    writeFileSync(`${path}.partial`, 'left by a killed run', { mode: 0o644 });
    for (const mode of [0o600, 0o640, 0o664]) {
      chmodSync(path, mode);
      if (process.getuid!() === 0) chownSync(path, 12_345, 23_456);
      const [before, { ino }] = [attributes(path), statSync(path)];
      await rewrite(path, NEW);
      assert.equal(attributes(path), before);
      assert.is.not(statSync(path).ino, ino, 'it is replaced, so no reader sees half of it');
      assert.is(readFileSync(path, 'utf8'), NEW);
      assert.equal(readdirSync(directory), ['env']);
    }
  }));

test('a link stays a link, over several links and directories; a leftover link is not followed', () =>
  withFile(async (path, directory) => {
    mkdirSync(join(directory, 'a'));
    symlinkSync('../env', join(directory, 'a/link'));
    symlinkSync('a/link', join(directory, 'first'));
    const victim = join(directory, 'victim');
    writeFileSync(victim, 'mine');
    symlinkSync(victim, `${path}.partial`);
    await rewrite(join(directory, 'first'), NEW);
    assert.equal(
      [readlinkSync(join(directory, 'first')), readlinkSync(join(directory, 'a/link'))],
      ['a/link', '../env'],
    );
    assert.is(readFileSync(path, 'utf8'), NEW);
    assert.ok(lstatSync(path).isFile());
    assert.is(readFileSync(victim, 'utf8'), 'mine');
  }));

test('other names of the file stay names of it', () =>
  withFile(async (path, directory) => {
    linkSync(path, join(directory, 'other'));
    const before = attributes(path);
    for (const text of [NEW, 'A=1\n']) {
      await rewrite(path, text);
      assert.is(readFileSync(join(directory, 'other'), 'utf8'), text);
      assert.equal(attributes(path), before);
    }
    assert.equal(readdirSync(directory).sort(), ['env', 'other']);
  }));

if (process.getuid!() === 0) {
  const [USER, OWNER, TEAM] = [12_345, 12_346, 23_456];

  test('a file of a team: the owner and the group stay, whoever of the team writes it', () =>
    withFile(async (path, directory) => {
      chmodSync(directory, 0o777);
      for (const owner of [OWNER, USER, 0]) {
        writeFileSync(path, OLD);
        chmodSync(path, 0o660);
        chownSync(path, owner, TEAM);
        const before = attributes(path);
        assert.is(await rewriteAs(USER, [TEAM], path), '');
        assert.equal(attributes(path), before, `of ${owner}`);
        assert.is(readFileSync(path, 'utf8'), NEW);
        assert.equal(readdirSync(directory), ['env']);
      }
    }));

  test('the group stays where the writer is not in it, and the file where its directory is closed', () =>
    withFile(async (path, directory) => {
      chownSync(path, USER, TEAM);
      const before = attributes(path);
      for (const mode of [0o777, 0o755]) {
        chmodSync(directory, mode);
        writeFileSync(path, OLD);
        assert.is(await rewriteAs(USER, [], path), '');
        assert.equal([attributes(path), readFileSync(path, 'utf8')], [before, NEW]);
        assert.equal(readdirSync(directory), ['env']);
      }
    }));

  test('a file that may not be written is as it was', () =>
    withFile(async (path, directory) => {
      chmodSync(directory, 0o777);
      chownSync(path, OWNER, TEAM);
      assert.match(await rewriteAs(USER, [TEAM], path), /EACCES/);
      assert.is(readFileSync(path, 'utf8'), OLD);
      assert.equal(readdirSync(directory), ['env']);
    }));
}

/** At each step, and by longer and shorter texts: test/long/core/operator-file.test.ts. */
test('a kill at a step of a file that is replaced leaves one of both contents', () =>
  withFile(path => killedAnywhere(path, OLD, NEW, 3)));

test('a kill at a step of a file that is overwritten leaves one of both contents', () =>
  withFile((path, directory) => {
    linkSync(path, join(directory, 'other'));
    return killedAnywhere(path, OLD, 'A=1\n', 3);
  }));

test.run();
