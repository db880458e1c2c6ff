/** Everyone can use every page: WCAG 2.2 AA as far as a program can tell, in every way of looking. */
import { check } from './axe.ts';
import { expect, open, type Page, test } from './story.ts';

const PAGES = {
  'the sign-in page': '/sign-in',
  'the servers': '/workspaces/default/servers',
  'a server': '/workspaces/default/servers/payroll',
  'the gateways': '/workspaces/default/gateways',
  'a gateway': '/workspaces/default/gateways/engineering',
  'the records': '/workspaces/default/records',
  'an empty workspace': '/workspaces/partners/servers',
};

const LOOKS = {
  light: { colorScheme: 'light', viewport: { width: 1280, height: 800 } },
  dark: { colorScheme: 'dark', viewport: { width: 1280, height: 800 } },
  'forced colours': { forcedColors: 'active', viewport: { width: 1280, height: 800 } },
  '200 % zoom': { viewport: { width: 640, height: 400 }, deviceScaleFactor: 2 },
  '320 pixels': { colorScheme: 'dark', viewport: { width: 320, height: 640 } },
} as const;

for (const [look, options] of Object.entries(LOOKS)) {
  test.describe(look, () => {
    test.use({ contextOptions: { reducedMotion: 'reduce' }, ...options });

    test('every page has no fault that axe knows', async ({ page }) => {
      await open(page, '/workspaces/default/servers');
      for (const [name, path] of Object.entries(PAGES)) {
        await page.goto(path);
        await settled(page);
        await check(page, name);
        await expect(page.locator('body'), `${name} scrolls sideways`).toHaveJSProperty(
          'scrollWidth',
          options.viewport.width,
        );
      }
    });

    test('nor have the dialogs', async ({ page }) => {
      await open(page, '/workspaces/default/servers/payroll');
      await page.getByRole('switch').click({ force: true });
      await expect(page.getByRole('dialog')).toBeVisible();
      await page.getByText('The same as').click();
      await check(page, 'the cut-off dialog');
      await page.getByRole('button', { name: 'Turn off payroll' }).click();
      await expect(page.getByText('Held by')).toBeVisible();
      await check(page, 'a server that is off');
      await page.keyboard.press('?');
      await expect(page.getByRole('dialog')).toBeVisible();
      await check(page, 'the shortcuts');
    });

    test('nor has a record', async ({ page }) => {
      await open(page, '/workspaces/default/records');
      await page.getByRole('row').last().getByRole('link').click();
      const panel = page.getByRole('complementary');
      await expect(panel).toBeVisible();
      await panel.getByRole('button', { name: 'Verify' }).first().click();
      await expect(panel.getByText(/^Record \d+ holds$/)).toBeVisible();
      await check(page, 'a record');
    });

    test('nor has the check of a file', async ({ page }) => {
      await open(page, '/workspaces/default/records');
      await page.getByRole('button', { name: 'Verify a file' }).click();
      await page.getByRole('button', { name: 'See what tampering looks like' }).click();
      await expect(page.getByText('Record 3 does not hold.')).toBeVisible();
      await check(page, 'the check of a file');
    });
  });
}

async function settled(page: Page) {
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
  await expect(page.getByRole('heading', { name: 'Loading…' })).toHaveCount(0);
}
