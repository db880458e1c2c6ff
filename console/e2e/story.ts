/**
 * What all stories have in common: someone signs in to an installation of their own, and whatever
 * happens, the page breaks no security policy, asks no third party, and reports no error.
 */
import { expect, type Locator, type Page, test as base } from '@playwright/test';

export { expect, type Locator, type Page };

/** See `mock/plugin.ts` for the kinds. */
export type Kind = '' | '-still' | '-empty' | '-flood' | '-burst' | '-many' | '-crowd' | '-hostile';

interface Story {
  /** Errors of the page that a story expects; all others fail it. */
  expected: RegExp;
}

export const test = base.extend<Story>({
  expected: [/^$/, { option: true }],
  page: async ({ page, expected, baseURL }, run) => {
    const faults: string[] = [];
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') faults.push(message.text());
    });
    page.on('request', (request) => {
      const isOurs = request.url().startsWith(new URL(baseURL ?? '').origin);
      if (!isOurs && !request.url().startsWith('blob:')) faults.push(`asked ${request.url()}`);
    });
    await run(page);
    // Chromium says of each refused request that it was refused.
    const known = [/Failed to load resource.*401/, expected];
    expect(faults.filter((fault) => !known.some((it) => it.test(fault)))).toEqual([]);
  },
});

/** Signs in and opens a page. */
export async function open(page: Page, path: string, kind: Kind = '-still') {
  await signIn(page, `osta_demo${kind}`, path);
}

/** Signs in with an admin token on the way to a path. */
export async function signIn(page: Page, token: string, path: string) {
  await page.goto(`/sign-in?with=token&next=${encodeURIComponent(path)}`);
  await tokenField(page).fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL((url) => url.pathname !== '/sign-in');
  // The address changes first; what keys are pressed meanwhile are still typed into this field.
  await expect(tokenField(page)).toHaveCount(0);
}

export function tokenField(page: Page) {
  return page.getByLabel('Admin token', { exact: true });
}
