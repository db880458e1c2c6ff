/** Building a gateway and connecting to it, in front of the real admin API and real calls, on both databases. */
import { check } from './axe.ts';
import { signIn, test } from './binary.ts';
import { DATABASES } from './databases.ts';
import { callEcho, mintToken, send } from './gateway.ts';
import { expect, type Page } from './story.ts';

for (const database of DATABASES) {
  test.describe(`on ${database}`, () => {
    test.use({ database });

    test('tools are picked, previewed and called, and a client is told of as it comes', async ({
      page,
      gateway,
    }) => {
      // The server is started by whoever calls it first, and may take its time.
      const token = await mintToken(gateway);
      expect(await callEcho(gateway, token, 'first')).toContain('Echo: first');
      await signIn(
        page,
        gateway.adminToken,
        '/workspaces/default/gateways/support/build?step=tools',
      );
      const picker = page.getByRole('group', { name: 'Tools', exact: true });
      await expect(picker.getByRole('checkbox', { name: /of everything$/ })).toBeChecked();
      // What the real server says of its tools.
      await page.getByLabel('Search tools').fill('echo');
      await expect(picker.getByText('Echoes back')).toBeVisible();
      await page.getByRole('button', { name: /^Pick none of them/ }).click();
      await page.getByRole('button', { name: /^Apply to everything: −1/ }).click();
      await apply(page, 'Apply');
      await expect(page.getByRole('dialog')).toHaveCount(0);
      expect(await callEcho(gateway, token, 'hello')).not.toContain('Echo: hello');

      await page.getByRole('link', { name: /Preview/ }).click();
      const shown = page.getByRole('table', { name: 'Tools that are shown' });
      await expect(shown).toBeVisible();
      await expect(shown).not.toContainText('everything__echo');
      await check(page, 'the preview');

      await page.goto('/workspaces/default/gateways/support/build?step=tools&q=echo');
      await picker.getByRole('checkbox', { name: 'everything echo', exact: true }).check();
      await page.getByRole('button', { name: 'Apply to everything: +1' }).click();
      await apply(page, 'Apply');
      await expect(page.getByRole('dialog')).toHaveCount(0);

      await page.goto('/workspaces/default/connect?gateway=support&client=codex');
      await expect(page.getByText('Waiting for its first call')).toBeVisible();
      expect(await callEcho(gateway, token, 'hello')).toContain('Echo: hello');
      const waiting = page.getByRole('region', { name: 'Has it come?' });
      await expect(waiting).toContainText('Connected');
      await expect(waiting).toContainText('as agent, for ann');
    });

    test('a gateway is made and connected, a server and a limit changed, and all taken back', async ({
      page,
      gateway,
    }) => {
      await signIn(page, gateway.adminToken, '/workspaces/default/gateways');
      await page.getByRole('button', { name: 'New gateway' }).click();
      await page.getByLabel('Name').fill('second');
      await page.getByLabel('Teams').fill('staff');
      await next(page, 'Make second');
      await page.getByRole('button', { name: 'Put everything on second' }).click();
      await page.getByLabel('Alias').fill('tools');
      await next(page, 'Put it on second');
      await expect(page.getByRole('table', { name: 'Servers on this gateway' })).toContainText(
        'tools',
      );

      await page.goto('/workspaces/default/apps/agent?tab=access');
      await page.getByRole('button', { name: 'Connect to a gateway' }).click();
      await page.getByLabel('Gateway', { exact: true }).fill('second');
      await next(page, 'Connect');
      const connections = page.getByRole('table', { name: 'Connections of this app' });
      await expect(connections.getByRole('row', { name: /second/ })).toBeVisible();
      await page.getByRole('button', { name: 'Actions for second' }).click();
      await page.getByRole('menuitem', { name: 'Disconnect…' }).click();
      await page.getByLabel('To go on, type agent').fill('agent');
      await apply(page, 'Disconnect agent');
      await expect(connections.getByRole('row', { name: /second/ })).toHaveCount(0);

      await page.goto('/workspaces/default/servers/everything');
      await page.getByRole('button', { name: 'Edit' }).click();
      await page.getByLabel('Labels').fill('sample');
      await next(page, 'Apply');
      const panel = page.getByRole('complementary', { name: 'Server everything' });
      await expect(panel).toContainText('sample');
      await panel.getByRole('link', { name: 'Access' }).click();
      const reached = panel.getByRole('table', { name: 'Gateways with this server' });
      await expect(reached).toContainText('second');
      await expect(reached).toContainText('support');

      await page.goto('/workspaces/default/limits');
      await page.getByRole('button', { name: 'New limit' }).click();
      await page.getByLabel('Name').fill('few');
      await next(page, 'Make few');
      await page.getByLabel('Per minute').fill('5');
      await page.getByRole('button', { name: 'Change few…' }).click();
      await apply(page, 'Apply');
      await expect(page.getByRole('row', { name: /few/ })).toContainText('5 per minute');
    });
  });
}

test.describe('with few rights', () => {
  // What is asked for and is not theirs is refused.
  test.use({ expected: /Failed to load resource.*(403|404)/ });

  test('an administrator of one gateway sees that gateway and what it needs', async ({
    page,
    gateway,
  }) => {
    await send(gateway, 'users', { name: 'bob' });
    await send(gateway, 'gateways', { name: 'other' });
    const capabilities = ['gateways:read', 'gateways:write', 'cutoffs:read', 'cutoffs:write'];
    await send(gateway, 'roles', { name: 'keeper', capabilities });
    const grant = { name: 'bob-keeps', role: 'keeper', user: 'bob', on: 'gateway/support' };
    await send(gateway, 'role-grants', grant);
    const { secret } = (await send(gateway, 'users/bob/admin-tokens', { name: 'laptop' })) as {
      secret: string;
    };
    await signIn(page, secret, '/workspaces/default/gateways');
    await expect(page.getByRole('link', { name: 'support', exact: true })).toBeVisible();
    await expect(page.getByText('other', { exact: true })).toHaveCount(0);
    await expect(page.getByRole('button', { name: 'New gateway' })).toBeDisabled();
    const nav = page.getByRole('navigation', { name: 'Main' });
    await expect(nav.getByRole('link', { name: 'Gateways' })).toBeVisible();
    for (const name of ['Connect', 'Cut-offs', 'Why']) {
      await expect(nav.getByRole('link', { name })).toBeVisible();
    }
    for (const name of ['Records', 'Policies', 'Limits', 'Approvals', 'Roles', 'Replicas']) {
      await expect(nav.getByRole('link', { name, exact: true })).toHaveCount(0);
    }

    await page.getByRole('link', { name: 'support', exact: true }).click();
    await expect(page.getByRole('button', { name: 'Edit' })).toBeEnabled();
    await expect(page.getByRole('table', { name: 'Servers on this gateway' })).toContainText(
      'everything',
    );
    await expect(page.getByRole('button', { name: 'New rule' })).toBeDisabled();
    await check(page, 'a gateway with few rights');

    // They may turn off what is theirs, and are refused the rest by the gateway itself.
    await page.keyboard.press('!');
    await expect(page.getByRole('button', { name: 'Turn off gateway support' })).toBeVisible();
    await expect(page.getByRole('button', { name: 'Turn off server everything' })).toHaveCount(0);
    await page.goto('/workspaces/default/gateways/other');
    await expect(page.getByRole('alert')).toContainText('other');
  });
});

async function next(page: Page, verb: string) {
  await page.getByRole('button', { name: 'Next: see the change' }).click();
  await apply(page, verb);
}

async function apply(page: Page, verb: string) {
  await page.getByRole('dialog').getByRole('button', { name: verb, exact: true }).click();
}
