/**
 * The hardening rules of the Compose files. Each has its numbers in the CIS Docker Benchmark 1.6.0 and in OWASP's Docker
 * Security Cheat Sheet. A service that breaks a rule is listed with the reason.
 */
import type { Resolved, Service } from './resolved.ts';

/** What stands for every secret when the files are resolved. */
export const PASSWORD = 'a-password-that-must-stay-where-it-is';

export interface Rule {
  says: string;
  cis?: string;
  owasp?: string;
  holds: (service: Service, file: Resolved) => boolean;
  /** Service: why it may. */
  except?: Record<string, string>;
}

/** What of this repository a container may see: no .env file, no script, not the whole. */
const MOUNTED = /^\/opt\/app\/(?:backups|hooks|logs|nginx|postgres|state)(?:\/|$)/;
const hostModes = ['network_mode', 'pid', 'ipc', 'uts', 'userns_mode', 'cgroup'];

export const RULES: Rule[] = [
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
    says: 'mounts nothing of the host but backups/, hooks/, logs/, nginx/, postgres/ and state/ of this repository',
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
    except: {
      frontend:
        'its image may have no program to check it with; Nginx, deployments and health-check.ts ask it',
      'frontend-2': 'as the frontend',
    },
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
