import { expect, open, test } from './story.ts';

test('the policy allows no inline script, no inline style and no foreign origin', async ({
  request,
}) => {
  const response = await request.get('/');
  const policy = response.headers()['content-security-policy'] ?? '';
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("require-trusted-types-for 'script'");
  expect(policy).not.toContain('unsafe');
  expect(policy).not.toContain('http');
  expect(await response.text()).not.toMatch(/<style|style=|<script(?![^>]*src=)| on\w+=/);
});

test('h079 what servers and clients send is text and nothing else', async ({ page }) => {
  await open(page, '/workspaces/default/servers', '-hostile');
  await expect(page.getByText('<img src=x onerror=alert(1)>').first()).toBeVisible();
  await page.goto('/workspaces/default/records');
  const row = page.getByRole('row', { name: /script/ });
  await expect(row.first()).toContainText('<script>alert(1)</script>');
  await row.first().getByRole('link').click();
  const panel = page.getByRole('complementary');
  await expect(panel).toContainText('<svg onload=alert(1)>');
  await expect(page.locator('img, iframe, object, embed')).toHaveCount(0);
  await expect(page.locator('main script, main svg[onload]')).toHaveCount(0);
});

test('h046 members named __proto__ are data', async ({ page }) => {
  await open(page, '/workspaces/default/records', '-hostile');
  await page
    .getByRole('row', { name: /script/ })
    .first()
    .getByRole('link')
    .click();
  const panel = page.getByRole('complementary');
  await expect(panel).toContainText('__proto__');
  await expect(panel).toContainText('{"polluted":true}');
  expect(await page.evaluate(() => 'polluted' in {})).toBe(false);
});

test('h118 what cannot be seen is shown', async ({ page }) => {
  await open(page, '/workspaces/default/records', '-hostile');
  await page
    .getByRole('row', { name: /script/ })
    .first()
    .getByRole('link')
    .click();
  const panel = page.getByRole('complementary');
  for (const token of ['U+200B', 'U+202E', 'tag h', 'ESC', '\\r', '\\n', 'U+FE0F', 'NBSP']) {
    await expect(panel.getByText(token, { exact: true }).first()).toBeVisible();
  }
});
