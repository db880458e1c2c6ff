import { expect, open, test } from './story.ts';

const DARK = 'rgb(14, 16, 20)';

test.describe('where the system is dark', () => {
  test.use({ colorScheme: 'dark', expected: /net::ERR_FAILED|preloaded using link preload/ });

  test('the first paint is dark, before any of the application has run', async ({ page }) => {
    await page.route('**/assets/*.js', (route) => route.abort());
    await page.goto('/sign-in');
    await expect(page.locator('html')).toHaveAttribute('data-mantine-color-scheme', 'dark');
    await expect(page.locator('body')).toHaveCSS('background-color', DARK);
  });
});

test('a choice outlasts the page, and wins over the system', async ({ page }) => {
  await open(page, '/workspaces/default/servers');
  await page.locator('label', { hasText: 'Dark' }).click();
  await expect(page.locator('body')).toHaveCSS('background-color', DARK);
  await page.reload();
  await expect(page.locator('body')).toHaveCSS('background-color', DARK);
  await expect(page.getByRole('radio', { name: 'Dark' })).toBeChecked();
});

test('times are shown in UTC where that is chosen', async ({ page }) => {
  await open(page, '/workspaces/default/servers/jira');
  const panel = page.getByRole('complementary');
  await expect(panel).toContainText('2026-11-02 10:30:00.000 CET');
  await page.locator('label', { hasText: 'UTC' }).click();
  await expect(panel).toContainText('2026-11-02 09:30:00.000 UTC');
});
