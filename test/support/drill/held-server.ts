/** Starts a PostgreSQL server of the tests and keeps it until it is killed. */
import { startTestPostgres } from '../postgres/test-postgres.ts';

await startTestPostgres();
console.error('started PostgreSQL');
setInterval(() => {}, 60_000);
