/** The stories of the binary: each has a gateway of its own on an empty database. */
import { type Database, makeDatabase } from './databases.ts';
import { type Gateway, startGateway } from './gateway.ts';
import { test as base } from './story.ts';

export { signIn } from './story.ts';

export const test = base.extend<{ database: Database; isEmpty: boolean; gateway: Gateway }>({
  database: ['SQLite', { option: true }],
  isEmpty: [false, { option: true }],
  gateway: async ({ database, isEmpty }, run) => {
    const { url, drop } = await makeDatabase(database);
    const gateway = await startGateway(url, isEmpty);
    await run(gateway);
    await gateway.stop();
    await drop();
  },
  baseURL: async ({ gateway }, run) => run(gateway.url),
});
