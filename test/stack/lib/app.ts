/** The reference application's images, under tags that every stack shares: their layers are cached. */
import type { Engine } from '../../engine/engine.ts';
import { ensureImages } from '../../images/images.ts';
import { baseImages, buildBackend, buildFrontend, type Variant } from '../../support/app/app-images.ts';

/** @returns the variables of an .env file that name the images of one version of the application */
export async function ensureApp(engine: Engine, variant: Variant = 'v1', version = '1.0.0') {
  await ensureImages(engine, baseImages);
  return {
    BACKEND_IMAGE: await buildBackend('reference-backend', variant, engine.env),
    FRONTEND_IMAGE: await buildFrontend('reference-frontend', version, engine.env),
  };
}
