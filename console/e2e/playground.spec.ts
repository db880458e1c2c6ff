/** The playground, in the invented installation. */
import { check } from './axe.ts';
import { expect, open, test } from './story.ts';

const HERE = '/workspaces/default/playground?gateway=engineering&app=claude-ann';

test('a tool is called with what a form asks for, by keyboard alone', async ({ page }) => {
  await open(page, HERE);
  await page.getByLabel('Tool').selectOption('github__search_issues');
  await expect(page).toHaveURL(/tool=github__search_issues/);
  await expect(page.getByText('nobody vouches for it')).toBeVisible();
  const form = page.getByRole('group', { name: 'Arguments', exact: true });
  await form.getByLabel('query').focus();
  await page.keyboard.type('a secret');
  await form.getByLabel('limit').fill('3');
  await form.getByLabel('archived').selectOption('true');
  await expect(form.getByText('What is lookedU+200B for')).toBeVisible();
  const json = page.getByLabel('Arguments as JSON');
  await expect(json).toHaveValue(/"limit": 3/);
  await expect(page.getByText('Here only: labels')).toBeVisible();
  await json.fill('{"query":"a secret","limit":3,"labels":["x"]}');
  await expect(form.getByLabel('limit')).toHaveValue('3');
  await expect(page.getByRole('group', { name: 'command' })).toContainText(
    'ostiary call engineering github__search_issues --app claude-ann',
  );
  await form.getByLabel('query').focus();
  await page.keyboard.press('Enter');
  const told = page.getByRole('region', { name: 'What came of it' });
  await expect(told).toContainText('the server has answered');
  await expect(told.getByRole('group', { name: 'part 1 of the answer' })).toContainText('U+202E');
  await expect(page.getByRole('list', { name: 'What was decided on the way' })).toContainText(
    'they call in its place',
  );
  expect(page.url()).not.toContain('secret');
  await check(page, 'a call in the playground');
  await told.getByRole('link', { name: 'record 812' }).click();
  await expect(page).toHaveURL(/records\?record=/);
});

test('what stops a call is said, and what is no JSON is not sent', async ({ page }) => {
  await open(page, `${HERE}&tool=github__delete_issues`);
  const json = page.getByLabel('Arguments as JSON');
  await json.fill('{');
  await expect(page.getByRole('button', { name: 'Call' })).toBeDisabled();
  await json.fill('');
  await page.getByRole('button', { name: 'Call' }).click();
  const way = page.getByRole('list', { name: 'What was decided on the way' });
  await expect(way.getByRole('listitem').last()).toContainText('stops here');
  await expect(way.getByRole('listitem').last()).toContainText('policy readers');
});

test('what the address names and is not there is not taken for something else', async ({
  page,
}) => {
  await open(page, '/workspaces/default/playground?gateway=engineering&app=nobody');
  await expect(page.getByText('nobody is not connected to engineering')).toBeVisible();
  await expect(page.getByLabel('Tool')).toHaveCount(0);
  await open(page, '/workspaces/default/playground?gateway=nowhere');
  await expect(page.getByText('There is no gateway nowhere')).toBeVisible();
  await expect(page.getByLabel('Tool')).toHaveCount(0);
  await page.getByLabel('Gateway').selectOption('engineering');
  await expect(page.getByLabel('Tool')).toBeVisible();
});
