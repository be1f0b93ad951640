import { connect } from 'node:net';
import * as assert from 'uvu/assert';
import { until } from '../core/world.ts';
import type { Backend, Database } from './app.ts';
import { startBalancer } from './balancer.ts';
import { send, startLoad, startUpload } from './load.ts';

interface Load {
  clients: number;
  /** Of each client after an answer, in ms. */
  pause: number;
  /** How long a request and jobs take that are under way when the instance is told to leave, in ms. */
  lasting: number;
}

const inFlight = async ({ url }: Backend) =>
  Number(/^http_requests_in_flight (\d+)$/m.exec((await send('GET', `${url}/metrics`)).body)?.[1]);

/** Whether the instance still takes new connections. */
const isRefused = ({ port }: Backend) =>
  new Promise<boolean>(resolve => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => resolve(false)).on('error', () => resolve(true));
    socket.on('connect', () => socket.destroy());
  });

/** Ends one of two instances under load, and asserts that nobody noticed and nothing was lost. */
export async function leaveUnderLoad(
  leaving: Backend,
  staying: Backend,
  { sql }: Database,
  { clients, pause, lasting }: Load,
): Promise<void> {
  const balancer = await startBalancer([leaving, staying]);
  const jobs = Array.from({ length: 10 }, () =>
    send('POST', `${staying.url}/jobs`, { body: JSON.stringify({ ms: lasting }) }),
  );
  await Promise.all(jobs);
  const slow = send('GET', `${leaving.url}/slow?ms=${lasting}`);
  const upload = startUpload(leaving.url);
  await until('both are under way', async () => (await inFlight(leaving)) === 2);
  const load = startLoad(`http://127.0.0.1:${balancer.port}/api/v1`, clients, pause);
  try {
    await until('the load is on', () => load.answered() >= clients);
    leaving.process.kill('SIGTERM');
    await leaving.line(/"message":"leaving"/);
    const ready = await send('GET', `${leaving.url}/health/ready`);
    assert.is(ready.status, 503);
    assert.is(JSON.parse(ready.body).status, 'leaving');
    assert.is(ready.headers.connection, 'close');
    assert.is((await send('GET', `${leaving.url}/health`)).status, 200);
    const late = await send('GET', `${leaving.url}/articles`);
    assert.is(late.status, 200);
    assert.is(late.headers.connection, 'close');

    // An upload that takes longer than the instance accepts.
    await until('it accepts no more', () => isRefused(leaving));
    assert.is(leaving.process.exitCode, null);
    const uploaded = await upload.finish();
    assert.is(uploaded.status, 201);
    assert.is(uploaded.headers.connection, 'close');
    assert.is((await slow).status, 200);
    assert.is((await slow).headers.connection, 'close');
    assert.equal(await leaving.exited, { code: 0, signal: null });
    assert.match(leaving.output(), /"message":"stopped"/);

    const after = load.answered();
    await until('the other one serves alone', () => load.answered() >= after + 10 * clients);
    await load.stop();
    assert.equal(load.failures, []);
    const [rows, ids] = (await sql('SELECT count(*), count(DISTINCT id) FROM orders')).split('|').map(Number);
    assert.is(rows, load.orders.size, 'each order that was answered is one row');
    assert.is(ids, rows);
    assert.is(await sql('SELECT count(DISTINCT instance) FROM orders'), '2', 'both took part');

    const runs = () => sql('SELECT count(*), count(DISTINCT job_id) FROM job_runs');
    await until('all jobs have run', async () => Number((await runs()).split('|')[0]) >= 10);
    assert.is(await runs(), '10|10', 'each job ran once');
    assert.match(await sql("SELECT count(*) FROM job_runs WHERE instance = 'backend-1'"), /^[1-9]/);
  } finally {
    await load.stop();
    await balancer.stop();
  }
}
