/** What every list can do: columns, density, views, selection, files. */
import { readFile } from 'node:fs/promises';

import { expect, open, test } from './story.ts';

test('columns and density stand in the address, and a view keeps them', async ({ page }) => {
  await open(page, '/workspaces/default/servers');
  await expect(page.getByRole('columnheader', { name: 'Transport' })).toBeVisible();
  await page.getByRole('button', { name: 'View' }).click();
  await page.getByRole('checkbox', { name: 'Transport' }).click();
  await page.getByText('Compact', { exact: true }).click();
  await expect(page).toHaveURL(/hide=transport/);
  await expect(page).toHaveURL(/density=compact/);
  await page.getByLabel('Name of this view').fill('dense');
  await page.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByRole('button', { name: 'dense', exact: true })).toBeVisible();
  await page.goto('/workspaces/default/servers');
  await expect(page.getByRole('columnheader', { name: 'Transport' })).toBeVisible();
  await page.getByRole('button', { name: 'View' }).click();
  await page.getByRole('button', { name: 'dense', exact: true }).click();
  await expect(page).toHaveURL(/hide=transport/);
  await expect(page.getByRole('columnheader', { name: 'Transport' })).toHaveCount(0);
});

test('rows are selected by keyboard, and what is selected becomes a file', async ({ page }) => {
  await open(page, '/workspaces/default/servers');
  await expect(page.getByRole('link', { name: 'calendar' })).toBeVisible();
  await page.keyboard.press('j');
  await page.keyboard.press('x');
  await expect(page.getByRole('checkbox', { name: 'Select calendar' })).toBeChecked();
  await page.getByRole('button', { name: 'Export (1)' }).click();
  const download = page.waitForEvent('download');
  await page.getByRole('menuitem', { name: 'Selected as CSV' }).click();
  const text = await readFile(await (await download).path(), 'utf8');
  const lines = text.trim().split('\r\n');
  expect(lines).toEqual(['Name,State,Tools,Transport,Era', 'calendar,Failing,6,HTTP,auto']);
});
