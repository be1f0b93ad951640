/* A receiver that is down, slow or answers nonsense: nothing that is told is lost, and nothing is told twice. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadConfig, ROOT } from '../../scripts/lib/config/config.ts';
import { notify } from '../../scripts/lib/notify/notify.ts';
import { captured } from '../support/core/here.ts';
import { startProgram, until } from '../support/core/world.ts';
import { type Receiver, startReceiver } from '../support/notify/receiver.ts';

const TELL = join(import.meta.dirname, '../support/notify/tell.ts');
const PASSWORD = 'a-password-nobody-may-see';

interface Setting {
  slack: Receiver;
  webhook: Receiver;
  state: string;
  /** Tells, in a process of its own, what each text says. */
  start: (...texts: string[]) => ReturnType<typeof startProgram>;
  /** The same in this process, which is no other but for the start; gives what it said. */
  tell: (...texts: string[]) => Promise<string>;
  kept: (channel: string) => string[];
}

async function setting(body: (setting: Setting) => Promise<void>): Promise<void> {
  const state = mkdtempSync(join(tmpdir(), 'outbox-'));
  const [slack, webhook] = await Promise.all([startReceiver(), startReceiver()]);
  const env = {
    PATH: process.env.PATH!,
    STATE_DIR: state,
    SLACK_WEBHOOK_URL: `${slack.url}/SECRET`,
    WEBHOOK_URL: `${webhook.url}/SECRET`,
    POSTGRES_PASSWORD: PASSWORD,
    NODE_COMPILE_CACHE: join(ROOT, 'node_modules/.cache/node'), // as the first line of a script has it
  };
  const start: Setting['start'] = (...texts) => startProgram(process.execPath, [TELL, ...texts], env);
  try {
    await body({
      slack,
      webhook,
      state,
      start,
      tell: async (...texts) => {
        const config = loadConfig('production', env);
        const { code, stderr, error } = await captured(async () => {
          for (const text of texts) await notify(config, text, 1);
        });
        assert.is(code, 0, error);
        return stderr;
      },
      kept: channel =>
        readdirSync(join(state, 'outbox'))
          .filter(name => name.startsWith(`production.${channel}.`) && name.endsWith('.json'))
          .sort(),
    });
  } finally {
    await Promise.all([slack.stop(), webhook.stop()]);
    rmSync(state, { recursive: true });
  }
}

const bodies = ({ received }: Receiver) => received.map(({ body }) => JSON.parse(body));
const texts = (receiver: Receiver): string[] => bodies(receiver).map(({ text }) => text);
const LATE = String.raw`\(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, sent late\) `;

/** Goes on while the others do: until its time is over, ten seconds pass. */
const silent = setting(async ({ slack, webhook, start, kept }) => {
  slack.answer = 'never';
  const { code, stderr } = await start('the first').ended;
  assert.is(code, 0, stderr);
  assert.match(stderr, /^warning: could not notify Slack: .*; queued, and sent with the next message$/m);
  assert.equal(texts(webhook), ['the first'], 'the other channel works meanwhile');
  assert.is(kept('slack').length, 1);
  slack.answer = 200;
  slack.received.length = 0;
  assert.match((await start('the second').ended).stderr, /sent 1 queued message to Slack/);
  const [first, second, ...rest] = texts(slack);
  assert.match(first!, new RegExp(`^\\[neurmatic production\\] ${LATE}the first$`));
  assert.is(second, '[neurmatic production] the second');
  assert.equal([...rest, ...kept('slack')], []);
});
silent.catch(() => {}); // its test hears of it

test('all is well: Slack gets a line, the webhook the facts, and the queue is empty', () =>
  setting(async ({ slack, webhook, start, kept }) => {
    const { code, stderr } = await start('one').ended;
    assert.equal([code, stderr], [0, '']);
    assert.equal(texts(slack), ['[neurmatic production] one']);
    const [{ time, ...rest }] = bodies(webhook);
    assert.equal(rest, {
      app: 'neurmatic',
      environment: 'production',
      script: 'tell.ts',
      exitCode: 1,
      text: 'one',
    });
    assert.ok(Math.abs(Date.now() - Date.parse(time)) < 60_000);
    assert.equal([...kept('slack'), ...kept('webhook')], []);
  }));

for (const answer of [500, 404, 'hangs up'] as const) {
  test(`a receiver that answers ${answer}: queued, and sent before the next, in order, once`, () =>
    setting(async ({ slack, webhook, state, tell, kept }) => {
      slack.answer = answer;
      const said = await tell(`the first, with ${PASSWORD}`);
      assert.match(said, /^warning: could not notify Slack: .*; queued, and sent with the next message$/m);
      await tell('the second');
      assert.is(kept('slack').length, 2);
      assert.equal(
        texts(slack).filter(text => text.endsWith('the second')),
        [],
        'after the first failure nothing more is tried',
      );
      for (const name of kept('slack')) {
        const path = join(state, 'outbox', name);
        assert.is(statSync(path).mode & 0o777, 0o600);
        assert.not.match(readFileSync(path, 'utf8'), new RegExp(`${PASSWORD}|SECRET|http`));
      }
      assert.is(statSync(join(state, 'outbox')).mode & 0o777, 0o700);
      assert.equal(
        texts(webhook),
        ['the first, with ***', 'the second'],
        'the other channel works meanwhile',
      );
      assert.equal(kept('webhook'), []);

      slack.answer = 200;
      slack.received.length = 0;
      assert.match(await tell('the third'), /sent 2 queued messages to Slack/);
      const [first, second, third, ...rest] = texts(slack);
      assert.match(first!, new RegExp(`^\\[neurmatic production\\] ${LATE}the first, with \\*\\*\\*$`));
      assert.match(second!, new RegExp(`^\\[neurmatic production\\] ${LATE}the second$`));
      assert.is(third, '[neurmatic production] the third');
      assert.equal(rest, []);
      assert.equal(kept('slack'), []);
      assert.is(webhook.received.length, 3);
    }));
}

test('a receiver that never answers: queued, and sent before the next', () => silent);

test('killed while the receiver does not answer: the next run sends it', () =>
  setting(async ({ slack, webhook, start, tell, kept }) => {
    slack.answer = 'never';
    const run = start('of the killed');
    await until('it is being sent', () => slack.received.length === 1 && webhook.received.length === 1);
    run.child.kill('SIGKILL');
    await run.ended;
    assert.is(kept('slack').length, 1);
    slack.answer = 200;
    slack.received.length = 0;
    await tell('next');
    assert.match(texts(slack)[0]!, /sent late\) of the killed$/);
    assert.match(texts(slack)[1]!, /\] next$/);
    assert.equal(kept('slack'), []);
  }));

test('many at once, with a queue: each message arrives, none twice', () =>
  setting(async ({ slack, webhook, start, tell, kept }) => {
    slack.answer = webhook.answer = 500;
    await tell('kept 1', 'kept 2', 'kept 3');
    slack.answer = webhook.answer = 200;
    slack.received.length = webhook.received.length = 0;
    const runs = await Promise.all(Array.from({ length: 3 }, (_, i) => start(`new ${i}`).ended));
    assert.equal(
      runs.map(({ code }) => code),
      [0, 0, 0],
    );
    const expected = ['kept 1', 'kept 2', 'kept 3', 'new 0', 'new 1', 'new 2'];
    for (const receiver of [slack, webhook]) {
      const arrived = texts(receiver).map(text => text.replace(/^\[.*?\] (\(.*?\) )?/, ''));
      assert.equal([...arrived].sort(), expected);
      assert.equal(arrived.slice(0, 3), expected.slice(0, 3), 'those that were kept come first');
    }
    assert.equal([...kept('slack'), ...kept('webhook')], []);
  }));

test('a message that the receiver refuses delays no other', () =>
  setting(async ({ slack, tell, kept }) => {
    slack.answer = 400;
    assert.match(
      await tell('nonsense'),
      /Slack refused a message, which is dropped: it answered 400: nonsense/,
    );
    assert.equal(kept('slack'), []);
  }));

test('a hundred are queued; the oldest is dropped, with a warning', () =>
  setting(async ({ slack, webhook, state, tell, kept }) => {
    slack.answer = 500;
    await tell('message 0');
    const [first] = kept('slack').map(name => join(state, 'outbox', name));
    const message = JSON.parse(readFileSync(first!, 'utf8'));
    for (let i = 1; i < 100; i++) {
      const name = `production.slack.${message.time.replaceAll(':', '-')}.0${i + 1000}.json`;
      writeFileSync(join(state, 'outbox', name), JSON.stringify({ ...message, text: `message ${i}` }));
    }
    const said = await tell('message 100', 'message 101');
    assert.is(said.match(/more than 100 messages for Slack are queued: dropped the oldest 1/g)?.length, 2);
    assert.is(kept('slack').length, 100);
    assert.is(webhook.received.length, 3);
    slack.answer = 200;
    slack.received.length = 0;
    await tell('last');
    assert.match(texts(slack)[0]!, /message 2$/);
    assert.is(texts(slack).length, 101);
  }));

test('without a writable queue, a message is sent directly', () =>
  setting(async ({ slack, state, tell }) => {
    writeFileSync(join(state, 'outbox'), '');
    assert.is(await tell('the disk is full'), '');
    slack.answer = 500;
    assert.match(await tell('again'), /could not notify Slack: it answered 500; could not queue it: /);
    assert.is(slack.received.length, 2);
  }));

test('a damaged message delays no other', () =>
  setting(async ({ slack, state, tell, kept }) => {
    mkdirSync(join(state, 'outbox'));
    writeFileSync(join(state, 'outbox/production.slack.2020-01-01.json'), '{"te');
    writeFileSync(join(state, 'outbox/production.slack.2020-01-02.json.partial'), '{"te');
    assert.match(await tell('one'), /is not a message, and is dropped/);
    assert.equal(texts(slack), ['[neurmatic production] one']);
    assert.equal(kept('slack'), []);
  }));

test.run();
