/** All that most stack tests need of an engine, made before the first of them starts. */
import type { Engine } from '../engine/engine.ts';
import { ensureApp } from '../stack/lib/app.ts';
import { officialImages } from '../stack/lib/stack.ts';
import { baseImages } from '../support/app/app-images.ts';
import { ensureImages } from './images.ts';

/** Makes the images that the Compose files name, and those of the reference application. */
export async function prepareImages(engine: Engine): Promise<void> {
  await ensureImages(engine, [...officialImages(), ...baseImages]);
  await ensureApp(engine);
}
