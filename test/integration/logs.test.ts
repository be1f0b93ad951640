/** logs.ts as a process: order, filters, what ends it, and how it follows. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startScript, until } from '../support/core/world.ts';
import { isRunning } from '../support/hooks/hooks.ts';
import { type DockerLogs, dockerLogs, requestLine } from '../support/logs/docker-logs.ts';

async function withLogs(body: (docker: DockerLogs) => Promise<void>): Promise<void> {
  const docker = dockerLogs();
  try {
    await body(docker);
  } finally {
    docker.stop();
  }
}
const SINCE = ['--since', '2026-01-31'];

test('several services in the order of time, with a summary; JSON is an object a line', () =>
  withLogs(async docker => {
    docker.write('nginx', requestLine(), '2026/01/31 02:00:08 [error] 7#7: upstream timed out');
    docker.write('backend-1', '{"level":30,"msg":"hello"}');
    docker.write('nginx', requestLine({ status: 502, path: '/api/v1/orders/\u001b[31m7' }));
    docker.write('backend-2', 'plain text');
    docker.write('frontend', 'not asked for');
    const shown = await startScript('logs', ['nginx', 'backend', ...SINCE], docker.env).ended;
    assert.is(shown.code, 0, shown.stderr);
    const lines = shown.stdout.split('\n');
    assert.equal(
      lines.slice(0, 5).map(line => line.split(/ +/)[2]),
      ['nginx', 'nginx', 'backend-1', 'nginx', 'backend-2'],
    );
    assert.match(shown.stdout, /502 {2}GET .*\/orders\/\\x1b\[31m7 /);
    assert.match(shown.stdout, /\n2 requests: 1 2xx, 1 5xx; 3 other lines\n$/);
    assert.not.ok(/not asked for/.test(shown.stdout) || shown.stdout.includes('\u001b'), shown.stdout);

    const json = await startScript('logs', ['all', '--json', ...SINCE], docker.env).ended;
    const entries = json.stdout
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line));
    assert.is(entries.length, 6);
    assert.equal([entries[0].service, entries[0].request.status], ['nginx', 200]);
    assert.equal(entries[2].fields, { level: 30, msg: 'hello' });

    const failed = await startScript('logs', ['--status', '5xx', '--summary', '--json', ...SINCE], docker.env)
      .ended;
    assert.equal(JSON.parse(failed.stdout).status, 502, 'one row');
  }));

test('no such service, wrong flags: exit 2; a container that is gone meanwhile: exit 1; JSON stays an object a line', () =>
  withLogs(async docker => {
    docker.write('nginx', requestLine());
    const cases: [string[], RegExp][] = [
      [['redis'], /no container of a service "redis"\n {2}→ there is: nginx\.$/m],
      [['nginx', '--path', 'api'], /--path takes a path/],
      [['nginx', '--since', 'yesterday'], /--since takes a span/],
      [['redis', '--status', '5xx'], /only Nginx’s log has a status/],
      [['--follow', '--summary'], /--follow can't be combined/],
    ];
    for (const [args, says] of cases) {
      const { code, stderr, stdout } = await startScript('logs', [...args, '--json'], docker.env).ended;
      assert.is(code, 2, stderr);
      assert.match(stderr, says);
      assert.is(JSON.parse(stdout.trimEnd()).error.exitCode, 2);
      assert.is(stdout.split('\n').length, 2);
    }
  }));

test('a reader that leaves ends it, whatever is left to show', () =>
  withLogs(async docker => {
    docker.write('nginx', ...Array.from({ length: 20_000 }, () => requestLine()));
    const run = startScript('logs', SINCE, docker.env);
    run.child.stdout!.once('data', () => run.child.stdout!.destroy());
    const { code, stderr } = await run.ended;
    assert.equal([code, stderr], [1, '']);
  }));

test('--follow shows what comes, goes on with the next container of the name, repeats nothing, and ends by Ctrl+C', () =>
  withLogs(async docker => {
    docker.write('nginx', requestLine({ path: '/before' }));
    let shown = '';
    const run = startScript('logs', ['--follow', ...SINCE], docker.env);
    run.child.stdout!.on('data', text => {
      shown += text;
    });
    const shows = (text: string) => until(text, () => shown.includes(text));
    await shows('/before');
    docker.write('nginx', requestLine({ path: '/coming' }));
    await shows('/coming');
    docker.replace('nginx');
    await run.shows(
      /shop-nginx-production: Error response from daemon: No such container: .*; waiting for it/,
    );
    docker.write('nginx', requestLine({ path: '/of-the-next' }));
    await shows('/of-the-next');
    run.child.kill('SIGINT');
    await until('it has ended', () => run.child.exitCode !== null);
    const { code, stdout } = await run.ended;
    assert.is(code, 130);
    for (const path of ['/before', '/coming', '/of-the-next'])
      assert.is(stdout.split(`acme.example${path} `).length, 2, `${path} once`);
    assert.match(stdout, /\n3 requests: 3 2xx\n$/);
  }));

test('a killed run leaves no client of Docker that follows the log for nobody', () =>
  withLogs(async docker => {
    docker.write('nginx', requestLine());
    const run = startScript('logs', ['--follow', ...SINCE], docker.env);
    await until('it follows', () => Boolean(docker.client()?.trim()));
    run.child.kill('SIGKILL');
    await run.ended;
    await until('Docker’s client has ended', () => !isRunning(docker.client()!));
  }));

test.run();
