/** The rooms about people in front of the real admin API, on both databases. */
import { signIn, test } from './binary.ts';
import { DATABASES } from './databases.ts';
import { expect, type Page } from './story.ts';

for (const database of DATABASES) {
  test.describe(`on ${database}`, () => {
    // What is deleted is asked for once more, where word of it comes before the page is left.
    test.use({ database, expected: /Failed to load resource.*404/ });

    test('a person is made, put into a team, given a role, changed and deleted', async ({
      page,
      gateway,
    }) => {
      await signIn(page, gateway.adminToken, '/workspaces/default/users');
      await page.getByRole('button', { name: 'New user' }).click();
      await page.getByLabel('Name').fill('carl');
      await page.getByLabel('Department').fill('law');
      await apply(page, 'Make carl');
      await page.getByRole('link', { name: 'carl' }).click();
      await expect(page.getByText('law', { exact: true })).toBeVisible();

      await page.goto('/workspaces/default/teams/staff');
      await page.getByRole('button', { name: 'Edit' }).click();
      await page.getByRole('textbox', { name: 'Members' }).fill('ann\ncarl');
      await apply(page, 'Apply');
      await expect(page.getByRole('link', { name: 'carl' })).toBeVisible();

      await page.goto('/workspaces/default/role-grants');
      await page.getByRole('button', { name: 'New role grant' }).click();
      await page.getByLabel('Name', { exact: true }).fill('carl-administers');
      await page.getByRole('textbox', { name: 'Role', exact: true }).fill('workspace-admin');
      await page.getByLabel('Name of the user or team').fill('carl');
      await apply(page, 'Make carl-administers');
      await expect(page.getByRole('link', { name: 'carl-administers' })).toBeVisible();

      await page.goto('/workspaces/default/why?user=carl&capability=servers:write');
      await expect(page.getByText('Yes', { exact: true })).toBeVisible();
      const chain = page.getByRole('list', { name: 'What has led to it' });
      await expect(chain).toContainText('carl-administers');

      await page.goto('/workspaces/default/users/carl?tab=yaml');
      await expect(page.getByLabel('document', { exact: true })).toContainText('department: law');
      await page.getByRole('link', { name: 'Audit' }).click();
      await expect(page.getByRole('table', { name: 'Acts' })).toContainText('POST');

      await page.getByRole('button', { name: 'Actions for carl' }).click();
      await page.getByRole('menuitem', { name: 'Delete…' }).click();
      await page.getByLabel('To go on, type carl').fill('carl');
      await page.getByRole('button', { name: 'Delete carl' }).click();
      await expect(page).toHaveURL('/workspaces/default/users');
      await expect(page.getByRole('link', { name: 'ann' })).toBeVisible();
      await expect(page.getByRole('link', { name: 'carl' })).toHaveCount(0);
    });

    test('a token, a policy and a cut-off', async ({ page, gateway }) => {
      await signIn(page, gateway.adminToken, '/workspaces/default/apps/agent');
      await page.getByRole('button', { name: 'New token' }).click();
      await page.getByLabel('Name').fill('laptop');
      await apply(page, 'Make laptop');
      await expect(page.getByRole('dialog', { name: 'The token, shown once' })).toBeVisible();
      await page.keyboard.press('Escape');
      await expect(page.getByRole('row', { name: /laptop/ })).toBeVisible();

      await page.goto('/workspaces/default/policies?make=true');
      await page.getByLabel('Name').fill('office');
      await page
        .getByLabel('Text, in Cedar')
        .fill('forbid(principal, action, resource) when { context.hour > 25 };');
      await apply(page, 'Make office');
      await page.getByRole('link', { name: 'office' }).click();
      await page.getByRole('button', { name: /Try it on/ }).click();
      await expect(page.getByText('would be refused')).toBeVisible();

      await page.keyboard.press('!');
      await page.getByRole('button', { name: 'Turn off app agent' }).click();
      await expect(page.getByText(/Held by 1\/1 replicas/)).toBeVisible();
      const said = page.getByRole('list', { name: 'What each replica says' });
      await expect(said.getByRole('listitem')).toHaveText(/: confirmed$/);
      await expect(page.getByRole('table', { name: 'In force' })).toContainText('app agent');
      await page.goto('/workspaces/default/replicas');
      await expect(page.getByRole('table', { name: 'Replicas' })).toContainText('Live');
    });
  });
}

async function apply(page: Page, verb: string) {
  await page.getByRole('button', { name: 'Next: see the change' }).click();
  await page.getByRole('button', { name: verb, exact: true }).click();
}
