/**
 * A `docker` with images, containers and a registry, as a program on PATH: what maintenance.ts asks, and no other verb. It keeps
 * its state in a file, and refuses what Docker refuses. That the commands are right: the tests below test/stack/.
 */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface DockerState {
  /** By id; `names` are `repository:tag` and `repository@digest`. */
  images: Record<string, { names: string[]; size: number }>;
  /** The ids of the images of containers. */
  containers: string[];
  /** Digests by name. Undefined: there is no network. */
  registry?: Record<string, string> | undefined;
  /** Commands that changed something. */
  changes: string[];
}

const PROGRAM = `
const { readFileSync, writeFileSync } = require('node:fs');
const file = process.argv[2];
const args = process.argv.slice(3);
const state = JSON.parse(readFileSync(file, 'utf8'));
const say = text => process.stdout.write(text + '\\n');
const fail = text => { process.stderr.write(text + '\\n'); process.exit(1); };
const idOf = name => Object.keys(state.images).find(id => id === name || state.images[id].names.includes(name));
const format = args[args.indexOf('--format') + 1];
const [verb, noun] = args;
if (verb === 'image' && noun === 'inspect') {
  for (const name of args.slice(args.indexOf('--format') + 2)) {
    const id = idOf(name) ?? fail('Error: No such image: ' + name);
    const { size, names } = state.images[id];
    say(format.replace('{{.Id}}', id).replace('{{.Size}}', size)
      .replace('{{json .RepoDigests}}', JSON.stringify(names.filter(each => each.includes('@')))));
  }
} else if (verb === 'image' && noun === 'ls') {
  const wanted = args.filter(each => each.startsWith('reference=')).map(each => each.slice(10));
  for (const [id, { names }] of Object.entries(state.images))
    for (const repository of wanted) {
      const own = names.filter(name => name.startsWith(repository + ':') || name.startsWith(repository + '@'));
      const digest = own.find(name => name.includes('@'))?.split('@')[1] ?? '<none>';
      const tags = own.filter(name => !name.includes('@')).map(name => name.slice(repository.length + 1));
      if (own.length > 0)
        for (const tag of tags.length > 0 ? tags : ['<none>']) say(JSON.stringify({ id, repository, tag, digest }));
    }
} else if (verb === 'image' && noun === 'rm') {
  const id = idOf(args[2]) ?? fail('Error: No such image: ' + args[2]);
  const image = state.images[id];
  if (image.names.length === 1 && state.containers.includes(id)) fail('conflict: container is using it');
  image.names = image.names.filter(name => name !== args[2]);
  if (image.names.length === 0) delete state.images[id];
  state.changes.push(args.join(' '));
  writeFileSync(file, JSON.stringify(state));
} else if (verb === 'container' && noun === 'ls') {
  state.containers.forEach((_, at) => say('container-' + at));
} else if (verb === 'container' && noun === 'inspect') {
  for (const name of args.slice(4)) say(state.containers[name.replace('container-', '')]);
} else if (verb === 'system' && noun === 'df') {
  say('{"Active":"1","Reclaimable":"1MB (50%)","Size":"2MB","TotalCount":"2","Type":"Images"}');
} else if (verb === 'info') {
  say('/');
} else if (verb === 'buildx') {
  if (!state.registry) fail('ERROR: failed to do request: dial tcp: lookup registry.example: no such host');
  const digest = state.registry[args.at(-1)] ?? fail('ERROR: ' + args.at(-1) + ': not found');
  say(args.includes('--raw') ? '{}' : JSON.stringify({ digest }));
} else fail('this docker has no ' + args.join(' '));
`;

/** @returns the directory for PATH, and the state, which a test may change */
export function dockerImages(directory: string) {
  const bin = join(directory, 'docker-bin');
  const file = join(directory, 'docker.json');
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, 'docker.cjs'), PROGRAM);
  writeFileSync(
    join(bin, 'docker'),
    `#!/bin/sh\nexec '${process.execPath}' '${join(bin, 'docker.cjs')}' '${file}' "$@"\n`,
  );
  chmodSync(join(bin, 'docker'), 0o755);
  return {
    bin,
    read: (): DockerState => JSON.parse(readFileSync(file, 'utf8')),
    write: (state: Omit<DockerState, 'changes'>) =>
      writeFileSync(file, JSON.stringify({ ...state, changes: [] })),
  };
}
