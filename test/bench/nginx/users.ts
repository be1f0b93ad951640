/**
 * Users at once, as autocannon's connections: each its own address, each a request a second. It runs in a container at
 * one of Cloudflare's addresses and prints autocannon's result as JSON,
 * with the 95th percentiles that it leaves out.
 *
 * Arguments: Nginx' address, the domain, users, seconds, a token.
 */
import autocannon from 'autocannon';

const [nginx, domain, users, seconds, token] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
];
const connections = Number(users);

// What a visit is made of: pages and files, public lists from the cache, what is one user's, and a write.
const kinds = [
  { path: '/', host: domain },
  { path: '/api/v1/articles', host: `api.${domain}` },
  { path: '/api/v1/me', host: `api.${domain}`, authorization: `Bearer ${token}` },
  { path: '/api/v1/whoami', host: `api.${domain}` },
  { path: '/api/v1/articles', host: `api.${domain}`, authorization: `Bearer ${token}` },
  { path: '/api/v1/orders', host: `api.${domain}`, method: 'POST' },
] as { path: string; host: string; method?: 'POST'; authorization?: string }[];

let user = 0;
const options: autocannon.Options = {
  url: `https://${nginx}`,
  servername: domain,
  connections,
  overallRate: connections,
  duration: Number(seconds),
  timeout: 10,
  setupClient(client) {
    const number = user++;
    const address = `10.${number >> 16}.${(number >> 8) & 255}.${number & 255}`;
    // Everybody begins somewhere else in the visit.
    const visit = kinds.map((_, i) => kinds[(i + number) % kinds.length]!);
    client.setRequests(
      visit.map(({ path, host, method = 'GET' as 'GET' | 'POST', authorization }) => ({
        path,
        method,
        headers: {
          Host: host,
          'CF-Connecting-IP': address,
          ...(authorization && { Authorization: authorization }),
          ...(method === 'POST' && { 'Content-Type': 'application/json' }),
        },
        ...(method === 'POST' && { body: JSON.stringify({ id: crypto.randomUUID() }) }),
      })),
    );
  },
};

const answers: { at: number; took: number }[] = [];
const opened = new Set<unknown>();
// From when on every user has had an answer: before that, the machine is busy with a thousand handshakes.
let steady = Number.POSITIVE_INFINITY;

const p95 = (times: number[]) => times.toSorted((a, b) => a - b)[Math.ceil(times.length * 0.95) - 1];
const instance = autocannon(options, (error, result) => {
  if (error) throw error;
  const after = answers.filter(({ at }) => at > steady);
  const overall = p95(answers.map(({ took }) => took));
  const summary = { p95: p95(after.map(({ took }) => took)), overall, steady: after.length };
  console.log(JSON.stringify({ ...summary, ...result }));
});
instance.on('response', (client, _status, _bytes, took) => {
  answers.push({ at: performance.now(), took });
  if (opened.size < connections && opened.add(client).size === connections) steady = performance.now();
});
