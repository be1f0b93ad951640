import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const site = join(import.meta.dirname, 'app/frontend/site');
const page = readFileSync(join(site, 'index.html'), 'utf8');
const assets = readdirSync(join(site, 'assets'));

test('each asset carries its own hash, so that it may be cached for ever', () => {
  assert.ok(assets.length > 0);
  for (const asset of assets) {
    const hash = createHash('sha256')
      .update(readFileSync(join(site, 'assets', asset)))
      .digest('hex');
    assert.match(asset, new RegExp(`-${hash.slice(0, 8)}\\.(js|css)$`));
  }
});

test('the page names each asset, and nothing that a strict content security policy refuses', () => {
  const named = [...page.matchAll(/(?:src|href)="\/assets\/([^"]+)"/g)].map(([, name]) => name!);
  assert.equal(named.sort(), assets.toSorted());
  assert.not.match(page, /<style|style=|<script>|\son\w+=|https?:/);
});

test.run();
