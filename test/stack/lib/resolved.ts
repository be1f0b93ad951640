/** The Compose files as Compose resolves them: anchors, variables and defaults filled in, every profile on. */
import { rmSync } from 'node:fs';
import { ensureEngine } from '../../engine/engine.ts';
import { attach, type Environment, writeFiles } from './stack.ts';

export interface Mount {
  type: 'bind' | 'volume';
  source: string;
  target: string;
  read_only?: boolean;
  bind?: { propagation?: string };
}

/** What of a service the tests look at; anything else is there too. */
export interface Service {
  [key: string]: unknown;
  image?: string;
  build?: unknown;
  user?: string;
  command?: string[];
  environment?: Record<string, string>;
  privileged?: boolean;
  cap_add?: string[];
  cap_drop?: string[];
  security_opt?: string[];
  read_only?: boolean;
  mem_limit?: string;
  cpus?: number;
  pids_limit?: number;
  restart?: string;
  healthcheck?: { test: string[]; start_interval?: string };
  logging?: { driver: string; options: Record<string, string> };
  networks?: Record<string, unknown>;
  ports?: { host_ip?: string; target: number; published: string }[];
  volumes?: Mount[];
}

export interface Resolved {
  name: string;
  services: Record<string, Service>;
  networks: Record<string, { name: string; internal?: boolean }>;
  volumes: Record<string, unknown>;
}

/** @param values of the .env file, over names of images that need not exist */
export async function resolved(
  environment: Environment,
  values: Record<string, string> = {},
): Promise<Resolved> {
  const variables = {
    APP_NAME: '',
    DOMAIN: '',
    POSTGRES_DB: '',
    BACKUP_SIGNING_KEY: '',
    APP_DB_PASSWORD: '',
    BACKUP_DB_PASSWORD: '',
    HTTP_PORT: '80',
    HTTPS_PORT: '443',
    ...values,
  };
  const images = {
    BACKEND_IMAGE: 'registry.example/backend:1.0.0',
    FRONTEND_IMAGE: 'registry.example/frontend:1.0.0',
  };
  const description = await writeFiles(environment, { ...images, ...variables });
  const stack = attach(await ensureEngine(), description, false);
  try {
    const text = await stack.compose('--profile', '*', 'config', '--format', 'json');
    return JSON.parse(text.replaceAll(stack.directory, '/opt/app'));
  } finally {
    rmSync(stack.directory, { recursive: true });
  }
}
