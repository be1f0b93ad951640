/**
 * Users at once, as autocannon's connections: each its own address, each a request a second. It runs in a container at
 * one of Cloudflare's addresses and prints as JSON how long answers took: of all, and of those after every user has had
 * one, since the machine is busy with a thousand handshakes before that.
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
// From when on every user has had an answer.
let steady = Number.POSITIVE_INFINITY;

const PERCENTILES = [50, 90, 95, 99, 100];

/** Milliseconds below which so many of a hundred answers came, by one way of counting for all of them. */
function percentiles(times: number[]): number[] {
  const sorted = times.toSorted((a, b) => a - b);
  return PERCENTILES.map(
    each => sorted[Math.max(0, Math.ceil((sorted.length * each) / 100) - 1)] ?? Number.NaN,
  );
}

const instance = autocannon(options, (error, result) => {
  if (error) throw error;
  const of = (some: typeof answers) => ({
    requests: some.length,
    ms: percentiles(some.map(({ took }) => took)),
  });
  const { errors, timeouts, non2xx, requests } = result;
  const steadily = of(answers.filter(({ at }) => at > steady));
  console.log(
    JSON.stringify({ steady: steadily, all: of(answers), rate: requests.average, errors, timeouts, non2xx }),
  );
});
instance.on('response', (client, _status, _bytes, took) => {
  answers.push({ at: performance.now(), took });
  if (opened.size < connections && opened.add(client).size === connections) steady = performance.now();
});
