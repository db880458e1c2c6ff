/** Approvals in front of the real admin API and a real server under review, on both databases. */
import { check } from './axe.ts';
import { type Database, DATABASES, makeDatabase } from './databases.ts';
import { callEcho, type Gateway, mintToken, startGateway } from './gateway.ts';
import { expect, test as base, tokenField } from './story.ts';

const test = base.extend<{ database: Database; gateway: Gateway }>({
  database: ['SQLite', { option: true }],
  gateway: async ({ database }, run) => {
    const { url, drop } = await makeDatabase(database);
    const gateway = await startGateway(url);
    await run(gateway);
    await gateway.stop();
    await drop();
  },
  baseURL: async ({ gateway }, run) => run(gateway.url),
});

for (const database of DATABASES) {
  test.describe(`on ${database}`, () => {
    test.use({ database });

    test('what waits is approved by keyboard, not before it can no longer be taken back', async ({
      page,
      gateway,
    }) => {
      const token = await mintToken(gateway);
      // The server is started by whoever calls it first, and may take its time.
      expect(await callEcho(gateway, token, 'first')).toContain('Echo: first');
      await review(gateway);
      expect(await callEcho(gateway, token, 'hello')).not.toContain('Echo: hello');

      await page.clock.install();
      await page.goto('/sign-in?with=token&next=/workspaces/default/pins?q=echo');
      await tokenField(page).fill(gateway.adminToken);
      await page.getByRole('button', { name: 'Sign in' }).click();
      const { keyboard } = page;
      await expect(page.getByRole('link', { name: 'echo' })).toBeVisible();
      await page.getByRole('heading', { name: 'Approvals' }).focus();
      await keyboard.press('j');
      await keyboard.press('Enter');
      const panel = page.getByRole('complementary', { name: 'tool of everything' });
      await expect(panel.getByRole('region', { name: 'Description' })).toContainText('Echoes back');
      await check(page, 'a real definition');
      await keyboard.press('a');
      await expect(page.getByRole('button', { name: /^Undo: echo/ })).toBeVisible();
      await page.clock.fastForward(2_000);
      await keyboard.press('z');
      await page.clock.fastForward(6_000);
      expect(await callEcho(gateway, token, 'taken back')).not.toContain('Echo: taken back');

      await page.goto('/workspaces/default/pins?q=echo');
      await page.getByRole('link', { name: 'echo' }).press('Enter');
      await expect(panel.getByRole('button', { name: 'Approve' })).toBeEnabled();
      await keyboard.press('a');
      const decided = page.waitForResponse((it) => it.url().endsWith('/approve'));
      await page.clock.fastForward(5_000);
      expect((await decided).ok()).toBe(true);
      expect(await callEcho(gateway, token, 'hello')).toContain('Echo: hello');
    });
  });
}

/** From now on nothing of the server is seen that nobody has approved. */
async function review({ url, adminToken }: Gateway) {
  const path = `${url}/api/v1/workspaces/default/servers/everything`;
  const response = await fetch(path, {
    method: 'PATCH',
    headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ review: 'on' }),
  });
  if (!response.ok) throw new Error(await response.text());
}
