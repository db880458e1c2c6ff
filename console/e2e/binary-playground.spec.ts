/** Calls in the place of an app, in front of the real gateway and a real server, on both databases. */
import { check } from './axe.ts';
import { signIn, test } from './binary.ts';
import { DATABASES } from './databases.ts';
import { send } from './gateway.ts';
import { expect, type Page } from './story.ts';

const HERE = '/workspaces/default/playground?gateway=support&app=agent&tool=everything__echo';

const QUIET = `forbid(principal, action == Action::"call", resource == Tool::"everything/echo")
  when { context.arguments.texts.hasTag("message")
    && context.arguments.texts.getTag("message") == "loud" };`;

for (const database of DATABASES) {
  test.describe(`on ${database}`, () => {
    test.use({ database });

    test('a call goes through, is refused by a policy, and is stopped by a cut-off', async ({
      page,
      gateway,
    }) => {
      await signIn(page, gateway.adminToken, HERE);
      // What the real server says of its tool.
      await expect(page.getByText('Echoes back')).toBeVisible();
      await call(page, 'card 4111111111111111');
      const told = page.getByRole('region', { name: 'What came of it' });
      await expect(told).toContainText('the server has answered');
      const answer = told.getByRole('group', { name: 'part 1 of the answer' });
      await expect(answer).toContainText('Echo: card ');
      await expect(answer).not.toContainText('4111111111111111');
      const way = page.getByRole('list', { name: 'What was decided on the way' });
      await expect(way).toContainText('rule cards');
      await expect(way.getByText('stops here')).toHaveCount(0);
      await check(page, 'a call that went through');

      await send(gateway, 'policies', { name: 'quiet', text: QUIET });
      await call(page, 'loud');
      await expect(way.getByRole('listitem').last()).toContainText('policy quiet');
      await expect(way.getByRole('listitem').last()).toContainText('stops here');
      await call(page, 'soft');
      await expect(answer).toContainText('Echo: soft');

      await send(gateway, 'cutoffs', { kind: 'server', name: 'everything', reason: 'it leaks' });
      await call(page, 'soft');
      await expect(told).toContainText('switched off');
      await expect(way.getByRole('listitem').last()).toContainText('it is turned off');
      expect(page.url()).not.toContain('soft');

      await told.getByRole('link', { name: /record/ }).click();
      const record = page.getByRole('complementary', { name: 'Record' });
      await expect(record).toContainText('Test by');
      await expect(record).toContainText('in its place');
    });
  });
}

test.describe('with few rights', () => {
  // What is asked for and is not theirs is refused.
  test.use({ expected: /Failed to load resource.*(403|404)/ });

  test('who could give out no token of an app calls nothing in its place', async ({
    page,
    gateway,
  }) => {
    await send(gateway, 'users', { name: 'bob' });
    const capabilities = ['gateways:read', 'apps:read', 'apps:write'];
    await send(gateway, 'roles', { name: 'looks', capabilities });
    await send(gateway, 'role-grants', { name: 'bob-looks', role: 'looks', user: 'bob' });
    const { secret } = (await send(gateway, 'users/bob/admin-tokens', { name: 'laptop' })) as {
      secret: string;
    };
    await signIn(page, secret, HERE);
    await call(page, 'hello');
    await expect(page.getByRole('alert')).toContainText('gateways:write');
    await expect(page.getByRole('region', { name: 'What came of it' })).toHaveCount(0);
  });
});

async function call(page: Page, message: string) {
  const form = page.getByRole('group', { name: 'Arguments', exact: true });
  await form.getByLabel('message').fill(message);
  await page.getByRole('button', { name: 'Call', exact: true }).click();
}
