/** Approvals in front of the real admin API and a real server under review, on both databases. */
import { check } from './axe.ts';
import { signIn, test } from './binary.ts';
import { DATABASES } from './databases.ts';
import { callEcho, type Gateway, mintToken } from './gateway.ts';
import { expect } from './story.ts';

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
      await signIn(page, gateway.adminToken, '/workspaces/default/pins?q=echo');
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
