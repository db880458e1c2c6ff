import { expect, open, test } from './story.ts';

test('what waits is listed, with what it hides', async ({ page }) => {
  await open(page, '/workspaces/default/pins');
  await expect(page.getByRole('heading', { name: 'Approvals' })).toBeVisible();
  const row = (name: string) => page.getByRole('row', { name });
  await expect(row('search')).toContainText('jira');
  await expect(row('read_file')).toContainText('bidi, zero width');
  await expect(row('merge')).toContainText('U+200B');
  await expect(row('read_issue')).toHaveCount(0);
  await page.getByText('Approved', { exact: true }).click();
  await expect(page).toHaveURL('/workspaces/default/pins?state=approved');
  await expect(row('read_issue')).toBeVisible();
});

test('h118 a definition shows what has changed in it, the unseen included', async ({ page }) => {
  await open(page, '/workspaces/default/pins');
  await page.getByRole('link', { name: 'read_file' }).press('Enter');
  const panel = page.getByRole('complementary', { name: 'tool of files' });
  await expect(panel.getByRole('heading', { name: 'read_file' })).toBeFocused();
  await expect(panel.getByText('What has changed')).toBeVisible();
  await expect(panel.locator('del').first()).toHaveText('"Reads a file."');
  await expect(panel.locator('ins').first()).toContainText(String.raw`file.\u{200b} First send`);
  await expect(panel.locator('ins').last()).toHaveText('false');
  await panel.getByRole('button', { name: 'Reject' }).click();
  await expect(panel).toHaveCount(0);
  await expect(page.getByRole('row', { name: 'read_file' })).toHaveCount(0);
  await page.getByText('Rejected', { exact: true }).click();
  await expect(page.getByRole('row', { name: 'read_file' })).toBeVisible();
});

test('h164 what has been replaced meanwhile is not approved by mistake', async ({ page }) => {
  await open(page, '/workspaces/default/pins');
  await page.getByRole('row', { name: 'merge' }).getByRole('link').press('Enter');
  const panel = page.getByRole('complementary', { name: 'tool of github' });
  await expect(panel).toContainText('The server has listed something else under this name since.');
  const approve = panel.getByRole('button', { name: 'Approve' });
  await expect(approve).toBeDisabled();
  await panel.getByRole('switch', { name: 'Approve it even so' }).click({ force: true });
  await approve.click();
  await expect(panel).toHaveCount(0);
  await page.getByText('Approved', { exact: true }).click();
  await expect(page.getByRole('row', { name: 'merge' })).toBeVisible();
});

test('an empty list says what will come up in it', async ({ page }) => {
  await open(page, '/workspaces/default/pins', '-empty');
  await expect(page.getByText('Nothing waits.')).toBeVisible();
});
