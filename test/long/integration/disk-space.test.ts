import { test } from 'uvu';
import { assertSpaceLeft } from '../../support/postgres/small-disk.ts';

test('a small disk of the live database, which grows meanwhile', () => assertSpaceLeft(true));

test.run();
