import { expect, open, test } from './story.ts';

test('the list says who can use which gateway', async ({ page }) => {
  await open(page, '/workspaces/default/gateways');
  const row = page.getByRole('row', { name: 'engineering' });
  await expect(row).toContainText('On');
  await expect(row).toContainText('platform, web');
  await expect(row.getByRole('cell').nth(3)).toHaveText('2');
});

test('a gateway shows its URL, servers, teams, rules and connections', async ({
  page,
  context,
}) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await open(page, '/workspaces/default/gateways/engineering');
  await page.getByRole('button', { name: 'Copy URL' }).click();
  const copied = () => page.evaluate(() => navigator.clipboard.readText());
  await expect.poll(copied).toBe(`${new URL(page.url()).origin}/mcp/default/engineering`);

  const assignments = page.getByRole('table', { name: 'Servers on this gateway' });
  await expect(assignments.getByRole('row', { name: 'jira' })).toContainText('shared: jira-bot');
  await expect(assignments.getByRole('row', { name: 'github' })).toContainText('each user’s own');
  // A zero-width space in the name of a tool is shown.
  await expect(assignments.getByRole('row', { name: 'files' })).toContainText('readU+200Bfile');

  const rules = page.getByRole('table', { name: 'Rules of this gateway' });
  await expect(rules.getByRole('row', { name: 'cards' })).toContainText('mask, keep last 4');
  await expect(rules.getByRole('row', { name: 'no-drops' })).toContainText('Only observes');
  await page.getByRole('link', { name: 'Access' }).click();
  await expect(page).toHaveURL('/workspaces/default/gateways/engineering?tab=access');
  await expect(page.getByRole('region', { name: 'Teams' })).toContainText('platform');
  const connections = page.getByRole('table', { name: 'Connections to this gateway' });
  await expect(connections.getByRole('row', { name: 'ci-agent' })).toContainText('bob');
  await expect(connections).not.toContainText('helpdesk-bot');
});

test('turning a gateway off says how many connections it stops', async ({ page }) => {
  await open(page, '/workspaces/default/gateways/engineering');
  await page.getByRole('switch', { name: 'Gateway engineering is on' }).click({ force: true });
  const dialog = page.getByRole('dialog', { name: 'Turn off gateway engineering?' });
  await expect(dialog.getByRole('group', { name: 'What it stops' })).toContainText('2 connections');
  await dialog.getByRole('button', { name: 'Turn off engineering' }).click();
  await expect(page.getByText('Held by 1/1 replicas in 3.2 ms; 4 calls ended.')).toBeVisible();
});

test('another workspace shows its own things only', async ({ page }) => {
  await open(page, '/workspaces/default/gateways');
  await page.getByRole('button', { name: 'Workspace default: switch' }).click();
  await page.getByRole('link', { name: 'partners' }).click();
  await expect(page).toHaveURL('/workspaces/partners/overview');
  await page.getByRole('link', { name: 'Servers', exact: true }).click();
  await expect(page.getByRole('heading', { name: 'No servers yet' })).toBeVisible();
  await page.getByRole('link', { name: 'Gateways' }).click();
  await expect(page.getByRole('heading', { name: 'No gateways yet' })).toBeVisible();
  await expect(page.getByText('engineering')).toHaveCount(0);
});

test.describe('what the gateway refuses', () => {
  test.use({ expected: /Failed to load resource.*400/ });

  test('what an assignment exposes is changed by conditions', async ({ page }) => {
    await open(page, '/workspaces/default/gateways/engineering');
    const assignments = page.getByRole('table', { name: 'Servers on this gateway' });
    const row = assignments.getByRole('row', { name: 'jira' });
    await row.getByRole('button', { name: 'Change which tools of jira are exposed' }).click();
    const dialog = page.getByRole('dialog', { name: 'Which tools of jira are exposed?' });
    const save = dialog.getByRole('button', { name: 'Next: see the change' });
    const change = page.getByRole('dialog', { name: 'Change jira on engineering' });
    await expect(save).toBeDisabled();
    await dialog.getByLabel('Expose', { exact: true }).selectOption('conditions');
    await dialog.getByLabel('What test 1 looks for').fill('read_*');
    await dialog.getByRole('button', { name: 'Add a test' }).click();
    await dialog.getByLabel('Test 2', { exact: true }).selectOption('description');
    await dialog.getByLabel('How test 2 looks').selectOption('matches');
    await dialog.getByLabel('What test 2 looks for').fill('(');
    await save.click();
    await change.getByRole('button', { name: 'Apply' }).click();
    await expect(change.getByRole('alert')).toContainText('does not compile');
    await change.getByRole('button', { name: 'Cancel' }).last().click();
    await dialog.getByLabel('Test 2', { exact: true }).selectOption('readOnlyHint');
    await dialog.getByLabel('What test 2 wants').selectOption('true');
    await save.click();
    await expect(change.getByRole('term')).toHaveText('tools');
    await change.getByRole('button', { name: 'Apply' }).click();
    await expect(page.getByRole('dialog')).toHaveCount(0);
    await expect(row).toContainText('{"all":[{"name":{"glob":"read_*"}},{"readOnlyHint":true}]}');

    await row.getByRole('button', { name: 'Change which tools of jira are exposed' }).click();
    await dialog.getByRole('button', { name: 'Remove test 1' }).click();
    await dialog.getByLabel('Exposed is what meets').selectOption('any');
    await save.click();
    await change.getByRole('button', { name: 'Apply' }).click();
    await expect(row).toContainText('{"any":[{"readOnlyHint":true}]}');
  });
});

test('what is exposed by name is changed line by line', async ({ page }) => {
  await open(page, '/workspaces/default/gateways/engineering');
  const assignments = page.getByRole('table', { name: 'Servers on this gateway' });
  const row = assignments.getByRole('row', { name: 'jira' });
  await row.getByRole('button', { name: 'Change which prompts of jira are exposed' }).click();
  const dialog = page.getByRole('dialog', { name: 'Which prompts of jira are exposed?' });
  await dialog.getByLabel('Expose', { exact: true }).selectOption('named');
  await dialog.getByLabel('Names').fill('triage\n\nsummary');
  await dialog.getByRole('button', { name: 'Next: see the change' }).click();
  const change = page.getByRole('dialog', { name: 'Change jira on engineering' });
  await change.getByText('The same as').click();
  await expect(change.getByLabel('command', { exact: true })).toContainText(
    'ostiary assignment update jira --gateway engineering --prompts triage,summary',
  );
  await change.getByRole('button', { name: 'Apply' }).click();
  await expect(page.getByRole('dialog')).toHaveCount(0);
  await expect(row.getByText('triage', { exact: true })).toBeVisible();
  await expect(row.getByText('summary', { exact: true })).toBeVisible();
});
