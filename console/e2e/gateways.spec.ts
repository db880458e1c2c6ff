import { expect, open, test } from './story.ts';

test('the list says who can use which gateway', async ({ page }) => {
  await open(page, '/workspaces/default/gateways');
  const row = page.getByRole('row', { name: 'engineering' });
  await expect(row).toContainText('On');
  await expect(row).toContainText('platform, web');
  await expect(row.getByRole('cell').nth(2)).toHaveText('2');
});

test('a gateway shows its URL, servers, teams, rules and connections', async ({
  page,
  context,
}) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await open(page, '/workspaces/default/gateways/engineering');
  await page.getByRole('button', { name: 'Copy URL' }).click();
  const url = await page.evaluate(() => navigator.clipboard.readText());
  expect(url).toBe(`${new URL(page.url()).origin}/mcp/default/engineering`);

  const assignments = page.getByRole('table', { name: 'Servers on this gateway' });
  await expect(assignments.getByRole('row', { name: 'jira' })).toContainText('shared: jira-bot');
  await expect(assignments.getByRole('row', { name: 'github' })).toContainText('each user’s own');
  // A zero-width space in the name of a tool is shown.
  await expect(assignments.getByRole('row', { name: 'files' })).toContainText('readU+200Bfile');

  await expect(page.getByRole('region', { name: 'Teams' })).toContainText('platform');
  const rules = page.getByRole('table', { name: 'Rules of this gateway' });
  await expect(rules.getByRole('row', { name: 'cards' })).toContainText('mask, keep last 4');
  await expect(rules.getByRole('row', { name: 'no-drops' })).toContainText('Only observes');
  const connections = page.getByRole('table', { name: 'Connections to this gateway' });
  await expect(connections.getByRole('row', { name: 'ci-agent' })).toContainText('bob');
  await expect(connections).not.toContainText('helpdesk-bot');
});

test('turning a gateway off says how many apps it stops', async ({ page }) => {
  await open(page, '/workspaces/default/gateways/engineering');
  await page.getByRole('switch', { name: 'Gateway engineering is on' }).click({ force: true });
  const dialog = page.getByRole('dialog', { name: 'Turn off gateway engineering?' });
  await expect(dialog).toContainText('2 apps are connected to it.');
  await dialog.getByRole('button', { name: 'Turn off engineering' }).click();
  await expect(page.getByText('Held by 1/1 replicas in 3.2 ms; 4 calls ended.')).toBeVisible();
});

test('another workspace shows its own things only', async ({ page }) => {
  await open(page, '/workspaces/default/gateways');
  await page.getByRole('button', { name: 'Workspace default: switch' }).click();
  await page.getByRole('menuitem', { name: 'partners' }).click();
  await expect(page).toHaveURL('/workspaces/partners/servers');
  await page.getByRole('link', { name: 'Gateways' }).click();
  await expect(page.getByRole('heading', { name: 'No gateways yet' })).toBeVisible();
  await expect(page.getByText('engineering')).toHaveCount(0);
});
