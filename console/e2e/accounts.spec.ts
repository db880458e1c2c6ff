/** How people come in, at the name `localhost`, where browsers take passkeys; in the real binary. */
import type { CDPSession } from '@playwright/test';

import { check } from './axe.ts';
import { test as base } from './binary.ts';
import { DATABASES } from './databases.ts';
import type { Gateway } from './gateway.ts';
import { expect, type Page, tokenField } from './story.ts';

const test = base.extend({
  baseURL: async ({ gateway }, run) => run(gateway.url.replace('127.0.0.1', 'localhost')),
  expected: /Failed to load resource.*403/,
});

const PASSWORD = 'a few plain words';

for (const database of DATABASES) {
  test.describe(`on ${database}`, () => {
    test.use({ database });
    passkeys();
    passwords();
    proofs();
    looks();
  });
}

function passkeys() {
  test('from the token in the log to an account with a passkey, and in again with it', async ({
    page,
    gateway,
  }) => {
    // As a browser that offers nothing by itself.
    await page.addInitScript(() => {
      PublicKeyCredential.isConditionalMediationAvailable = () => Promise.resolve(false);
    });
    await holdPasskeys(page);
    await page.goto('/');
    await page.getByRole('button', { name: 'Set up this installation' }).click();
    await tokenField(page).fill(gateway.adminToken);
    await page.getByRole('button', { name: 'Continue' }).click();
    await expect(page).toHaveURL(/\/set-up\?step=account/);
    await page.getByLabel('Name').fill('ada');
    await page.getByRole('button', { name: 'Make the account' }).click();
    await expect(page.getByRole('heading', { name: 'Overview' })).toBeVisible();

    await page.getByRole('button', { name: 'Your account' }).click();
    const passkeys = page.getByRole('region', { name: 'Passkeys' });
    await expect(passkeys.getByText('not used yet')).toBeVisible();
    await expect(passkeys.getByRole('button', { name: 'Remove passkey first' })).toBeDisabled();
    await expect(page.getByRole('region', { name: 'Sessions' })).toContainText('This one');

    await signOut(page);
    await page.getByRole('button', { name: 'Use a passkey' }).click();
    await expect(page.getByRole('heading', { name: 'Overview' })).toBeVisible();
  });

  test('a passkey that the browser offers where a name is filled in signs in', async ({
    page,
    gateway,
  }) => {
    const holder = await holdPasskeys(page);
    await setUp(page, gateway);
    await page.getByRole('button', { name: 'Your account' }).click();
    await page.getByLabel('Name of the passkey').fill('laptop');
    await page.getByRole('button', { name: 'Add a passkey' }).click();
    await expect(page.getByRole('button', { name: 'Remove passkey laptop' })).toBeEnabled();
    // Nobody touches it yet, so that the page stays.
    await touch(holder, false);
    await signOut(page);
    await touch(holder, true);
    await page.reload();
    await expect(page.getByRole('heading', { name: 'Overview' })).toBeVisible();
  });

  test.describe('at an IP address', () => {
    test.use({ baseURL: ({ gateway }, run) => run(gateway.url) });

    test('by an IP address, the page says why there are no passkeys', async ({ page }) => {
      await page.goto('/sign-in');
      await expect(page.getByText('Browsers take no passkeys at IP addresses.')).toBeVisible();
      await expect(page.getByRole('button', { name: 'Use a passkey' })).toBeDisabled();
    });
  });
}

function passwords() {
  test('a password is set, signs in, and a wrong one is refused in plain words', async ({
    page,
    gateway,
  }) => {
    await setUp(page, gateway);
    await signOut(page);
    await page.getByLabel('Name').fill('ada');
    await page.getByLabel('Password', { exact: true }).fill('some other plain words');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await expect(page.getByText('Workspace, name or password is wrong')).toBeVisible();
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await expect(page.getByRole('heading', { name: 'Overview' })).toBeVisible();
    // Nobody sets it up a second time.
    await signOut(page);
    await expect(page.getByRole('button', { name: 'Set up this installation' })).toHaveCount(0);
  });

  test('h078 h079 what a link fills in is text and leads nowhere else', async ({
    page,
    gateway,
  }) => {
    await setUp(page, gateway);
    await signOut(page);
    const hostile = '"><img src=x onerror=alert(1)>\u{202e}';
    for (const next of ['javascript:alert(1)', '//evil.example/', 'https://evil.example/']) {
      const query = new URLSearchParams({ next, workspace: hostile });
      await page.goto(`/sign-in?${query}`);
      await expect(page.getByLabel('Workspace')).toHaveValue(hostile);
      await expect(page.locator('img')).toHaveCount(0);
      await page.getByLabel('Workspace').fill('');
      await page.getByLabel('Name').fill('ada');
      await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await expect(page.getByRole('heading', { name: 'Overview' })).toBeVisible();
      await signOut(page);
    }
  });
}

function proofs() {
  test('what is dangerous asks for a proof, and is done then', async ({ page, gateway }) => {
    await setUp(page, gateway);
    await refuseOnce(page);
    await page.getByRole('button', { name: 'Your account' }).click();
    await page.getByLabel('New password').fill('quite another few words');
    await page.getByRole('button', { name: 'Set password' }).click();
    const dialog = page.getByRole('dialog', { name: 'Prove who you are' });
    await dialog.getByLabel('Password', { exact: true }).fill('not at all the one');
    await dialog.getByRole('button', { name: 'Continue' }).click();
    await expect(dialog.getByRole('alert')).toContainText('does not prove who is signed in');
    await dialog.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await dialog.getByRole('button', { name: 'Continue' }).click();
    await expect(page.getByText('The password is set.')).toBeVisible();
    await expect(dialog).toHaveCount(0);
  });
}

function looks() {
  test.describe('looked at', () => {
    test.use({ userAgent: 'Mosaic <script>alert(1)</script> <img src=x onerror=alert(1)>' });

    test('axe finds no fault in the second step of the set-up', async ({ page, gateway }) => {
      await page.goto('/set-up');
      await tokenField(page).fill(gateway.adminToken);
      await page.getByRole('button', { name: 'Continue' }).click();
      await expect(page.getByLabel('Name')).toBeVisible();
      await inEachLook(page, 'the second step of the set-up');
    });

    test('h079 what a browser calls itself is text, and axe finds no fault', async ({
      page,
      gateway,
    }) => {
      await setUp(page, gateway);
      await page.goto('/account');
      const sessions = page.getByRole('region', { name: 'Sessions' });
      await expect(sessions).toContainText('<script>alert(1)</script>');
      await expect(page.locator('main img, main script')).toHaveCount(0);
      await inEachLook(page, 'an account');
    });

    test('axe finds no fault where a proof is asked for', async ({ page, gateway }) => {
      await setUp(page, gateway);
      await page.goto('/account');
      await refuseOnce(page);
      await page.getByLabel('New password').fill('quite another few words');
      await page.getByRole('button', { name: 'Set password' }).click();
      await expect(page.getByRole('dialog', { name: 'Prove who you are' })).toBeVisible();
      await inEachLook(page, 'a proof');
    });
  });
}

async function setUp(page: Page, gateway: Gateway) {
  await page.goto('/set-up');
  await tokenField(page).fill(gateway.adminToken);
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByLabel('Name').fill('ada');
  await page.getByText('Password', { exact: true }).click();
  await page.getByLabel('New password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Make the account' }).click();
  await expect(page.getByRole('heading', { name: 'Overview' })).toBeVisible();
}

/** A new password needs a proof, as it does ten minutes later. */
async function refuseOnce(page: Page) {
  let refused = 0;
  await page.route('**/api/v1/session/password', async (route) => {
    if (route.request().method() !== 'PUT' || refused > 0) return route.continue();
    refused += 1;
    const body = { code: 'step_up_required', detail: 'prove first who you are', status: 403 };
    return route.fulfill({ status: 403, json: body, contentType: 'application/problem+json' });
  });
}

async function inEachLook(page: Page, name: string) {
  const whole = { width: 1280, height: 800 };
  for (const [look, media, viewport] of [
    ['light', { colorScheme: 'light' }, whole],
    ['dark', { colorScheme: 'dark' }, whole],
    ['forced colours', { forcedColors: 'active' }, whole],
    ['320 pixels', { forcedColors: 'none' }, { width: 320, height: 640 }],
  ] as const) {
    await page.emulateMedia({ reducedMotion: 'reduce', ...media });
    await page.setViewportSize(viewport);
    await check(page, `${name}, ${look}`);
    await expect(page.locator('body')).toHaveJSProperty('scrollWidth', viewport.width);
  }
  await page.setViewportSize(whole);
}

async function signOut(page: Page) {
  await page.goto('/');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await expect(page).toHaveURL('/sign-in');
}

async function touch(holder: CDPSession, enabled: boolean) {
  const { authenticatorId } = holders.get(holder) ?? { authenticatorId: '' };
  await holder.send('WebAuthn.setAutomaticPresenceSimulation', { authenticatorId, enabled });
}

const holders = new WeakMap<CDPSession, { authenticatorId: string }>();

/** Something that holds passkeys and knows its person. */
async function holdPasskeys(page: Page): Promise<CDPSession> {
  const session = await page.context().newCDPSession(page);
  await session.send('WebAuthn.enable');
  const holder = await session.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  holders.set(session, holder);
  return session;
}
