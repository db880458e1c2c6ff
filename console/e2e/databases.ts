/** Databases for stories of the binary. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export type Database = 'SQLite' | 'PostgreSQL';

/** Both, but where a quick run leaves one out. */
export const DATABASES: Database[] =
  process.env['OSTIARY_TEST_SQLITE_ONLY'] === '1' ? ['SQLite'] : ['SQLite', 'PostgreSQL'];

const SCRIPT = fileURLToPath(new URL('../../scripts/postgres.sh', import.meta.url));

/** The URL of an empty database, and how to get rid of it; nothing for SQLite, which is a file. */
export async function makeDatabase(kind: Database) {
  if (kind === 'SQLite') return { url: undefined, drop: () => Promise.resolve() };
  const server = process.env['OSTIARY_TEST_POSTGRES'] ?? '';
  if (server === '') throw new Error('OSTIARY_TEST_POSTGRES must name a PostgreSQL');
  const name = `console_${randomBytes(8).toString('hex')}`;
  const { stdout } = await promisify(execFile)(SCRIPT, ['binaries']);
  const psql = join(stdout.trim(), 'psql');
  const run = (statement: string) => promisify(execFile)(psql, [server, '-qc', statement]);
  await run(`CREATE DATABASE ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return {
    url: url.toString(),
    drop: async () => {
      await run(`DROP DATABASE ${name} WITH (FORCE)`);
    },
  };
}
