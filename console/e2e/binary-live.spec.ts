/** What others change is shown without lists being asked for again, in front of the real admin API. */
import { signIn, test } from './binary.ts';
import { DATABASES } from './databases.ts';
import { expect } from './story.ts';

for (const database of DATABASES) {
  test.describe(`on ${database}`, () => {
    test.use({ database });

    test('somebody is made, renamed and deleted elsewhere', async ({ page, gateway }) => {
      const users = `${gateway.url}/api/v1/workspaces/default/users`;
      const ask = async (method: string, url: string, body?: object) => {
        const headers = {
          authorization: `Bearer ${gateway.adminToken}`,
          'content-type': 'application/json',
        };
        const sent = body === undefined ? {} : { body: JSON.stringify(body) };
        const response = await fetch(url, { method, headers, ...sent });
        expect(response.status).toBeLessThan(300);
      };
      const following = page.waitForResponse(/changes\/stream/);
      await signIn(page, gateway.adminToken, '/workspaces/default/users');
      await following;
      await expect(page.getByRole('link', { name: 'ann' })).toBeVisible();
      await page.waitForLoadState('load');
      await ask('POST', users, { name: 'carl' });
      await expect(page.getByRole('link', { name: 'carl' })).toBeVisible();
      // From here on the list is what it was, and only what has changed is asked for.
      let lists = 0;
      page.on('request', (it) => {
        if (/\/users(\?|$)/.test(it.url())) lists += 1;
      });
      await ask('PATCH', `${users}/carl`, { name: 'charles' });
      await expect(page.getByRole('link', { name: 'charles' })).toBeVisible();
      await expect(page.getByRole('link', { name: 'carl', exact: true })).toHaveCount(0);
      await ask('DELETE', `${users}/charles`);
      await expect(page.getByRole('link', { name: 'charles' })).toHaveCount(0);
      expect(lists).toBe(0);
    });

    test('the home page and charts of a gateway that was just started', async ({
      page,
      gateway,
    }) => {
      await signIn(page, gateway.adminToken, '/');
      await expect(page).toHaveURL('/workspaces/default/overview');
      await expect(page.getByRole('region', { name: 'Replicas' })).toContainText('1 live');
      await expect(page.getByRole('region', { name: 'Cut-offs' })).toContainText('0 in force');
      await page.getByRole('link', { name: 'All charts' }).click();
      await expect(page.getByText('Nothing of this was called in this time.')).toBeVisible();
      await expect(page.getByText(/counted up to/)).toBeVisible();
    });
  });
}
