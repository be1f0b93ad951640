import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { planJson } from '../../scripts/deploy.ts';
import { describePlan, type Plan } from '../../scripts/lib/deploy/plan.ts';

const PLAN: Plan = {
  release: '2.0.0',
  images: { backend: 'shop/backend:2', frontend: 'shop/frontend:1' },
  previous: { backend: 'shop/backend:1', frontend: 'shop/frontend:1' },
  servers: ['server backend-1:3000 resolve;', 'server backend-2:3000 resolve;'],
  surge: 'backend-3',
  migrations: [
    { name: 'add', findings: [] },
    { name: 'drop', findings: [{ kind: 'contracts', what: 'drops a column', sql: 'ALTER TABLE …' }] },
    {
      name: 'key',
      findings: [{ kind: 'contracts', what: 'adds a key', sql: 'ALTER …', accepted: '1.0 deletes none' }],
    },
    { name: 'index', findings: [{ kind: 'blocks', what: 'builds an index', sql: 'CREATE INDEX …' }] },
  ],
  criticalBefore: ['clock (it is 400 s behind that of S3)'],
  contract: ['the backend runs as root', 'the frontend exposes 8080, and FRONTEND_PORT is 80'],
  notes: ['Nginx will load a file'],
};

test('--plan --json keeps its keys, which other programs read', () => {
  const { unwell, ...rest } = planJson(PLAN);
  const { criticalBefore, ...same } = PLAN;
  assert.equal(unwell, criticalBefore);
  assert.equal(rest, same);
  assert.equal(
    Object.keys(planJson(PLAN)).sort(),
    'contract images migrations notes previous release servers surge unwell'.split(' '),
  );
});

test('--plan shows the images, the instances, the risks of each migration and the notes', () => {
  assert.equal(describePlan(PLAN), [
    'backend   backend:1 → backend:2',
    'frontend  frontend:1 (unchanged)',
    'instances backend-1, backend-2, and backend-3 during the deployment',
    'contract  the backend runs as root',
    '          the frontend exposes 8080, and FRONTEND_PORT is 80',
    'migration add: harmless to the previous release',
    'migration drop:',
    '  no rollback: drops a column: ALTER TABLE …',
    'migration key:',
    '  accepted (1.0 deletes none): adds a key: ALTER …',
    'migration index:',
    '  blocks: builds an index: CREATE INDEX …',
    'note: Nginx will load a file',
  ]);
  assert.ok(describePlan({ ...PLAN, contract: [] }).includes('contract  the images keep it'));
  assert.ok(describePlan({ ...PLAN, migrations: [] }).includes('migrations none pending'));
});

test.run();
