/**
 * Holds the Compose files to a list of hardening rules. Each has its numbers in the CIS Docker Benchmark 1.6.0 and in
 * OWASP's Docker Security Cheat Sheet. What breaks a rule is listed with its reason, and an entry that is no longer
 * needed fails as well.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Resolved, resolved, type Service } from './lib/resolved.ts';
import { ROOT } from './lib/stack.ts';

const PASSWORD = 'a-password-that-must-stay-where-it-is';
const secrets = {
  POSTGRES_PASSWORD: PASSWORD,
  REDIS_PASSWORD: PASSWORD,
  DATABASE_URL: `postgresql://x:${PASSWORD}@postgres/x`,
  REDIS_URL: `redis://:${PASSWORD}@redis`,
};
const FILES: Record<string, Resolved> = {
  production: await resolved('production', secrets),
  staging: await resolved('staging', secrets),
};

interface Rule {
  says: string;
  cis?: string;
  owasp?: string;
  holds: (service: Service, file: Resolved) => boolean;
  /** Service: why it may. */
  except?: Record<string, string>;
}

/** What of this repository a container may see: no .env file, no script, not the whole. */
const MOUNTED = /^\/opt\/app\/(?:backups|logs|nginx|state)(?:\/|$)/;
const hostModes = ['network_mode', 'pid', 'ipc', 'uts', 'userns_mode', 'cgroup'];

const RULES: Rule[] = [
  {
    says: 'drops every capability',
    cis: '5.4',
    owasp: 'rule 3',
    holds: ({ cap_drop }) => cap_drop?.join() === 'ALL',
  },
  {
    says: 'adds no capability',
    cis: '5.4',
    owasp: 'rule 3',
    holds: ({ cap_add = [] }) => cap_add.length === 0,
    except: {
      nginx:
        'root reads the key, listens on 80 and 443, and gives workers and their directories to another user',
      frontend: 'the same, for an image whose Nginx starts as root; one that does not has no use for them',
      'frontend-2': 'the frontend, while that one is replaced',
    },
  },
  {
    says: 'adds no capability beyond the four of Nginx',
    cis: '5.4',
    owasp: 'rule 3',
    holds: ({ cap_add = [] }) =>
      cap_add.every(name => ['CHOWN', 'NET_BIND_SERVICE', 'SETGID', 'SETUID'].includes(name)),
  },
  { says: 'is not privileged', cis: '5.5', owasp: 'rule 3', holds: ({ privileged }) => !privileged },
  {
    says: 'mounts nothing of the host but backups/, logs/, nginx/ and state/ of this repository',
    cis: '5.6',
    owasp: 'rule 8',
    holds: ({ volumes = [] }) =>
      volumes.every(({ type, source }) => type === 'volume' || MOUNTED.test(source)),
  },
  {
    says: 'has no port of the host',
    cis: '5.9',
    owasp: 'rule 5a',
    holds: ({ ports = [] }) => ports.length === 0,
    except: { nginx: '80 and 443 are what the server is for' },
  },
  {
    says: 'publishes 80 and 443 at most, on an address that is named',
    cis: '5.8, 5.9, 5.14',
    owasp: 'rule 5a',
    holds: ({ ports = [] }) =>
      ports.every(
        port => port.host_ip && [80, 443].includes(port.target) && `${port.target}` === port.published,
      ),
  },
  {
    says: 'shares no namespace with the host',
    cis: '5.10, 5.16, 5.17, 5.21, 5.31',
    holds: service => hostModes.every(mode => !(mode in service)),
  },
  {
    says: 'has a memory limit',
    cis: '5.11',
    owasp: 'rule 7',
    holds: ({ mem_limit }) => Number(mem_limit) > 0,
  },
  { says: 'has a CPU limit', cis: '5.12', owasp: 'rule 7', holds: ({ cpus }) => Number(cpus) > 0 },
  {
    says: 'has a limit of processes',
    cis: '5.29',
    owasp: 'rule 7',
    holds: ({ pids_limit }) => Number(pids_limit) > 0 && Number(pids_limit) <= 512,
  },
  {
    says: 'has a read-only root',
    cis: '5.13',
    owasp: 'rule 8',
    holds: ({ read_only }) => read_only === true,
  },
  {
    says: 'mounts what it does not write read-only',
    cis: '5.13',
    owasp: 'rule 8',
    holds: ({ volumes = [] }) => volumes.every(({ type, read_only }) => type === 'volume' || read_only),
    except: { backup: 'writes backups, logs and state, which are the server’s' },
  },
  {
    says: 'is restarted, but not against an operator’s stop',
    cis: '5.15',
    owasp: 'rule 7',
    holds: ({ restart }) => restart === 'unless-stopped',
  },
  { says: 'exposes no device', cis: '5.18', holds: service => !('devices' in service) },
  {
    says: 'propagates no mount',
    cis: '5.20',
    holds: ({ volumes = [] }) => volumes.every(({ bind }) => !bind?.propagation?.includes('shared')),
  },
  {
    says: 'gains no privilege, and keeps the default seccomp and AppArmor profiles',
    cis: '5.2, 5.22, 5.26',
    owasp: 'rule 4, rule 6',
    holds: ({ security_opt }) => security_opt?.join() === 'no-new-privileges:true',
  },
  {
    says: 'has a health check',
    cis: '5.27',
    holds: ({ healthcheck }) => Boolean(healthcheck && !healthcheck.test.includes('NONE')),
  },
  {
    says: 'checks its own 127.0.0.1, never localhost, which is ::1 first',
    holds: ({ healthcheck }) => !healthcheck || /127\.0\.0\.1/.test(healthcheck.test.join(' ')),
    except: { backup: 'asks no port: it reads what its scheduler keeps on disk' },
  },
  {
    says: 'is of an image pinned to a version, not to a line of them',
    cis: '5.28',
    owasp: 'rule 13',
    holds: ({ image }) => /:\d+(\.\d+)+(-\w+)?$/.test(image ?? ''),
    except: { backup: 'built here, from a Dockerfile that pins its base' },
  },
  {
    says: 'is on networks of its own',
    cis: '5.30',
    owasp: 'rule 5',
    holds: ({ networks = {} }, file) =>
      Object.keys(networks).length > 0 &&
      Object.keys(networks).every(name => name !== 'default' && file.networks[name]),
  },
  {
    says: 'has no access to Docker',
    cis: '5.32',
    owasp: 'rule 1',
    holds: service => !JSON.stringify(service).includes('docker.sock'),
  },
  {
    says: 'names a user, or has one in its image',
    cis: '4.1',
    owasp: 'rule 2',
    holds: ({ user, image }) => Boolean(user) || image?.startsWith('registry.example/') === true,
    except: { nginx: 'root reads the key of the certificate; requests are handled by the user nginx' },
  },
  {
    says: 'can’t fill the disk with its log',
    owasp: 'rule 7',
    holds: ({ logging }) => Boolean(logging?.options['max-size'] && logging.options['max-file']),
  },
  {
    says: 'has no secret in its command or health check',
    owasp: 'rule 12',
    holds: ({ command, healthcheck }) => !JSON.stringify([command, healthcheck]).includes(PASSWORD),
  },
];

for (const [environment, file] of Object.entries(FILES)) {
  for (const { says, cis, owasp, holds, except = {} } of RULES) {
    const numbers = [cis && `CIS ${cis}`, owasp && `OWASP ${owasp}`].filter(Boolean).join(', ');
    test(`${environment}: every service ${says}${numbers && ` (${numbers})`}`, () => {
      const broken = Object.keys(file.services).filter(name => !holds(file.services[name]!, file));
      assert.equal(broken.sort(), Object.keys(except).sort());
    });
  }

  test(`${environment}: the stores are on the internal network and nowhere else (OWASP rule 5)`, () => {
    assert.is(file.networks.data!.internal, true);
    for (const store of ['postgres', 'redis'])
      assert.equal(Object.keys(file.services[store]!.networks!), ['data']);
    const members = Object.keys(file.services).filter(name => 'data' in file.services[name]!.networks!);
    assert.equal(
      members.filter(name => !/^(backend-[1-8]|backup|postgres|redis)$/.test(name)),
      [],
    );
    assert.not('data' in file.services.nginx!.networks!, 'what faces the world does not reach the stores');
  });

  test(`${environment}: the eight backends are one definition`, () => {
    const backends = Array.from({ length: 8 }, (_, i) => {
      const {
        container_name,
        environment: variables,
        profiles,
        ...rest
      } = file.services[`backend-${i + 1}`]!;
      assert.is(container_name, `neurmatic-backend-${i + 1}-${environment}`);
      assert.is(rest.hostname, undefined, 'a one-off container would answer to it as well');
      const { INSTANCE_ID, ...same } = variables!;
      assert.is(INSTANCE_ID, `backend-${i + 1}`);
      assert.equal(profiles, i < 2 ? undefined : ['scale']);
      return { ...rest, environment: same };
    });
    for (const backend of backends) assert.equal(backend, backends[0]);
  });

  test(`${environment}: what stands in for the frontend is the frontend, and does not start by itself`, () => {
    const { container_name: _, ...frontend } = file.services.frontend!;
    const { container_name, profiles, ...standIn } = file.services['frontend-2']!;
    assert.is(container_name, `neurmatic-frontend-2-${environment}`);
    assert.equal(profiles, ['scale']);
    assert.equal(standIn, frontend);
  });

  test(`${environment}: Redis keeps less than its container has, evicts no job, and forgets nothing`, () => {
    const { command = [], mem_limit } = file.services.redis!;
    const setting = (name: string) => command[command.indexOf(`--${name}`) + 1];
    assert.is(setting('maxmemory'), environment === 'production' ? '2gb' : '512mb');
    const bytes =
      parseInt(setting('maxmemory')!, 10) * (setting('maxmemory')!.endsWith('gb') ? 2 ** 30 : 2 ** 20);
    assert.ok(bytes * 2 <= Number(mem_limit), 'a fork may hold all of it twice');
    assert.is(setting('maxmemory-policy'), 'volatile-lru');
    assert.is(setting('appendonly'), 'yes');
    assert.match(setting('save')!, /^\d+ \d+/);
  });
}

test('dclint finds nothing in either file', () => {
  const files = readdirSync(ROOT).filter(name => /^docker-compose\..*\.yml$/.test(name));
  assert.equal(files.sort(), ['docker-compose.production.yml', 'docker-compose.staging.yml']);
  const dclint = join(ROOT, 'node_modules/.bin/dclint');
  const args = [dclint, '--config', '.dclintrc.yaml', '--max-warnings', '0', '--formatter', 'json', ...files];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' });
  assert.is(status, 0, stdout + stderr);
});

test.run();
