import { expect, open, test } from './story.ts';

// A name that is taken is refused.
test.use({ expected: /Failed to load resource.*409/ });

test('a limit is made, shown and deleted', async ({ page }) => {
  await open(page, '/workspaces/default/limits');
  await page.getByRole('button', { name: 'New limit' }).click();
  const dialog = page.getByRole('dialog', { name: 'New limit' });
  await expect(dialog.getByLabel('Name')).toBeFocused();
  await dialog.getByLabel('Name').fill('Ann');
  await dialog.getByRole('button', { name: 'Next: see the change' }).click();
  await expect(dialog).toContainText('Use 1 to 63 of a-z, 0-9 and -');
  await dialog.getByLabel('Name').fill('each-app');
  await dialog.getByLabel('Counted together').selectOption('user');
  await dialog.getByLabel('Only this user').fill('ann');
  await dialog.getByLabel('Unit').selectOption('tokens');
  await dialog.getByLabel('Of').selectOption('response');
  await dialog.getByLabel('Amount').fill('5000');
  await dialog.getByLabel('At once').fill('100');
  await dialog.getByRole('button', { name: 'Next: see the change' }).click();
  const taken = page.getByRole('dialog', { name: 'New limit each-app' });
  await taken.getByRole('button', { name: 'Make each-app' }).click();
  await expect(taken.getByRole('alert')).toContainText('already exists');
  await taken.getByRole('button', { name: 'Cancel' }).last().click();
  // What has been typed is there still.
  await expect(dialog.getByLabel('Amount')).toHaveValue('5000');
  await dialog.getByLabel('Name').fill('anns');
  await dialog.getByRole('button', { name: 'Next: see the change' }).click();
  const change = page.getByRole('dialog', { name: 'New limit anns' });
  await change.getByText('The same as').click();
  await expect(change.getByLabel('command', { exact: true })).toContainText(
    'ostiary limit create anns --scope user/ann --unit tokens --direction response --allow rate:5000/minute:100',
  );
  await change.getByRole('button', { name: 'Make anns' }).click();

  await expect(page).toHaveURL('/workspaces/default/limits/anns');
  const panel = page.getByRole('complementary', { name: 'Limit anns' });
  await expect(panel).toContainText('user ann');
  await expect(panel).toContainText('tokens of responses');
  await expect(panel).toContainText('5,000 per minute, 100 at once');
  await panel.getByRole('button', { name: 'Actions for anns' }).click();
  await page.getByRole('menuitem', { name: 'Delete…' }).click();
  const question = page.getByRole('dialog', { name: 'Delete limit anns?' });
  await expect(question).toContainText('Nobody has used anything of it.');
  await expect(question.getByRole('button', { name: 'Delete anns' })).toBeDisabled();
  await question.getByRole('button', { name: 'Cancel' }).last().click();
  await expect(page.getByRole('row', { name: 'anns' })).toBeVisible();
  await panel.getByRole('button', { name: 'Actions for anns' }).click();
  await page.getByRole('menuitem', { name: 'Delete…' }).click();
  await question.getByLabel('To go on, type anns').fill('anns');
  await question.getByRole('button', { name: 'Delete anns' }).click();
  await expect(page).toHaveURL('/workspaces/default/limits');
  await expect(page.getByRole('row', { name: 'each-app' })).toBeVisible();
  await expect(page.getByRole('row', { name: 'anns' })).toHaveCount(0);
});

test('the first limit is made on an empty page', async ({ page }) => {
  await open(page, '/workspaces/default/limits', '-empty');
  await page.getByRole('button', { name: 'New limit' }).click();
  const dialog = page.getByRole('dialog', { name: 'New limit' });
  await dialog.getByLabel('Name').fill('all');
  await dialog.getByLabel('Counted together').selectOption('workspace');
  await dialog.getByLabel('Kind').selectOption('quota');
  await dialog.getByLabel('Per').selectOption('month');
  await dialog.getByRole('button', { name: 'Next: see the change' }).click();
  await page.getByRole('button', { name: 'Make all' }).click();
  const panel = page.getByRole('complementary', { name: 'Limit all' });
  await expect(panel).toContainText('600 per month');
});

test('a limit has its document, its request and its history', async ({ page }) => {
  await open(page, '/workspaces/default/limits/each-app');
  const panel = page.getByRole('complementary', { name: 'Limit each-app' });
  await panel.getByRole('link', { name: 'API', exact: true }).click();
  await expect(page).toHaveURL('/workspaces/default/limits/each-app?tab=api');
  await expect(panel.getByLabel('command', { exact: true })).toHaveText(
    'ostiary limit show each-app --json',
  );
  await panel.getByRole('link', { name: 'Audit' }).click();
  await expect(panel.getByRole('table', { name: 'Acts' })).toBeVisible();
});
