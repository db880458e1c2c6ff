/** Everyone can use every page: WCAG 2.2 AA as far as a program can tell, in every way of looking. */
import { check } from './axe.ts';
import { openScreen, SCREENS } from './screens.ts';
import { expect, open, test } from './story.ts';

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

    for (const [name, address] of SCREENS) {
      test(`${name}: no fault that axe knows, and nothing scrolls sideways`, async ({ page }) => {
        await openScreen(page, address);
        await check(page, name);
        await expect(page.locator('body')).toHaveJSProperty('scrollWidth', options.viewport.width);
      });
    }

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

    test('nor has a change, its form, or what is found', async ({ page }) => {
      await open(page, '/workspaces/default/users/ann');
      await page.getByRole('button', { name: 'Edit' }).click();
      await expect(page.getByLabel('Department')).toBeVisible();
      await check(page, 'a form');
      await page.getByLabel('Department').fill('law');
      await page.getByRole('button', { name: 'Next: see the change' }).click();
      await page.getByText('The same as').click();
      await expect(page.getByRole('button', { name: 'Apply' })).toBeEnabled();
      await check(page, 'a change');
      await page.getByRole('button', { name: 'Apply' }).click();
      await expect(page.getByRole('dialog')).toHaveCount(0);
      await page.keyboard.press('Control+k');
      await expect(page.getByRole('option').first()).toBeVisible();
      await check(page, 'the palette');
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
