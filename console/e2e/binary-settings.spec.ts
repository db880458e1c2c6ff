/** What holds for a workspace and above all of them, at the real gateway. */
import type { Schemas } from '../src/api/client.ts';
import { signIn, test } from './binary.ts';
import { DATABASES } from './databases.ts';
import { mintToken } from './gateway.ts';
import { expect, type Page } from './story.ts';

const SETTINGS = '/workspaces/default/settings';

for (const database of DATABASES) {
  test.describe(`on ${database}`, () => {
    test.use({ database });

    test('a workspace is made, changed and deleted again', async ({ page, gateway }) => {
      await signIn(page, gateway.adminToken, SETTINGS);
      const workspaces = page.getByRole('table', { name: 'Workspaces' });
      await page.getByRole('button', { name: 'New workspace' }).click();
      await page.getByLabel('Name').fill('labs');
      await page.getByRole('button', { name: /^Next/ }).click();
      await page.getByRole('button', { name: 'Make labs' }).click();
      await workspaces.getByRole('link', { name: 'labs' }).click();
      await page.goto('/workspaces/labs/settings');

      const facts = page.getByRole('region', { name: 'This workspace' });
      await expect(facts).toContainText('when it is written to the system');
      await facts.getByRole('button', { name: 'Edit' }).click();
      await page.getByLabel('A record counts as kept when it is').selectOption('synced');
      await page.getByRole('button', { name: /^Next/ }).click();
      await page.getByRole('button', { name: 'Apply' }).click();
      await expect(facts).toContainText('when it is synced to the disk');

      await page.goto(SETTINGS);
      await page.getByRole('button', { name: 'Actions for labs' }).click();
      await page.getByRole('menuitem', { name: 'Delete…' }).click();
      await page.getByLabel('To go on, type labs').fill('labs');
      await page.getByRole('button', { name: 'Delete labs' }).click();
      await expect(workspaces.getByRole('link', { name: 'labs' })).toHaveCount(0);
      // Nobody deletes what they stand in, and nobody locks everybody out.
      await page.getByRole('button', { name: 'Actions for default' }).click();
      await expect(page.getByRole('menuitem', { name: 'Delete…' })).toBeDisabled();
      await page.keyboard.press('Escape');
      await page.getByRole('button', { name: 'Actions for first' }).click();
      await expect(page.getByRole('menuitem', { name: 'Revoke…' })).toBeDisabled();
    });

    test('a user gets a token to administer with, which is taken away again', async ({
      page,
      gateway,
    }) => {
      await signIn(page, gateway.adminToken, '/workspaces/default/users/ann');
      await page.getByRole('button', { name: 'New token' }).click();
      await page.getByLabel('Name').fill('laptop');
      await page.getByRole('button', { name: /^Next/ }).click();
      await page.getByRole('button', { name: 'Make laptop' }).click();
      const secret = await page.getByRole('group', { name: 'token' }).textContent();
      const ask = () =>
        page.request.get('/api/v1/session', {
          headers: { authorization: `Bearer ${secret}`, cookie: '' },
        });
      expect(await (await ask()).json()).toMatchObject({ user: { name: 'ann' } });
      await page.keyboard.press('Escape');
      await page.getByRole('button', { name: 'Actions for laptop' }).click();
      await page.getByRole('menuitem', { name: 'Revoke…' }).click();
      await page.getByLabel('To go on, type laptop').fill('laptop');
      await page.getByRole('button', { name: 'Revoke laptop' }).click();
      await expect(page.getByText('no program administers as this user')).toBeVisible();
      expect((await ask()).status()).toBe(401);
    });

    test('what was recorded on a day is made unreadable, and nothing else', async ({
      page,
      gateway,
    }) => {
      await mintToken(gateway);
      const today = new Date().toISOString().slice(0, 10);
      await signIn(page, gateway.adminToken, SETTINGS);
      let kept: number[] = [];
      const look = async () => {
        kept = await actsOf(page, 'kept');
        return kept.length;
      };
      // Somewhat after it is recorded it has its place in the log.
      await expect.poll(look).toBeGreaterThan(0);
      await page.getByLabel('Day').fill(today);
      await page.getByRole('button', { name: 'Erase…' }).click();
      await page.getByLabel(`To go on, type ${today}`).fill(today);
      await page.getByRole('button', { name: `Erase ${today}` }).click();
      await expect(page.getByRole('dialog')).toHaveCount(0);
      expect(await actsOf(page, 'erased')).toEqual(expect.arrayContaining(kept));
    });
  });
}

/** The indices of the acts whose content is in this state. */
async function actsOf(page: Page, state: Schemas['RecordDetail']['content']): Promise<number[]> {
  const records = '/api/v1/workspaces/default/records';
  const list = (await (await page.request.get(`${records}?limit=100`)).json()) as {
    items: Schemas['RecordBody'][];
  };
  const found: number[] = [];
  for (const { kind, index } of list.items) {
    if (kind !== 'admin' || index === null || index === undefined) continue;
    const answer = await page.request.get(`${records}/${index}`);
    const { content } = (await answer.json()) as Schemas['RecordDetail'];
    if (content === state) found.push(index);
  }
  return found;
}
