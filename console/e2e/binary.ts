/** The stories of the binary: each has a gateway of its own on an empty database. */
import { type Database, makeDatabase } from './databases.ts';
import { type Gateway, startGateway } from './gateway.ts';
import { type Page, test as base, tokenField } from './story.ts';

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

/** Signs in with an admin token on the way to a path. */
export async function signIn(page: Page, token: string, path: string) {
  await page.goto(`/sign-in?with=token&next=${encodeURIComponent(path)}`);
  await tokenField(page).fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL((url) => url.pathname !== '/sign-in');
}
