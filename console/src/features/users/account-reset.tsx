import { Button } from '@mantine/core';

import { useMay } from '@/app/rights';
import { callOf, command } from '@/features/changes/call';
import { type Change, useChange } from '@/features/changes/use-change';
import { Section } from '@/ui/page';

interface Props {
  workspace: string;
  user: string;
}

/** For whoever has lost password and passkeys. */
export function AccountReset({ workspace, user }: Props) {
  const { ask, dialog } = useChange(workspace);
  const { why } = useMay(workspace, 'people:write');
  return (
    <Section title="Account">
      {dialog}
      <p>
        For who has lost password and passkeys, or whose account somebody else is in. The account is
        made anew with an admin token that an administrator of the installation makes for {user}.
      </p>
      <div>
        <Button
          variant="default"
          disabled={why !== undefined}
          title={why}
          onClick={() => ask(reset(workspace, user))}
        >
          Reset the account…
        </Button>
      </div>
    </Section>
  );
}

function reset(workspace: string, user: string): Change {
  const path = '/api/v1/workspaces/{workspace}/users/{user}/account';
  return {
    title: `Reset the account of ${user}?`,
    verb: `Reset ${user}`,
    call: callOf('delete', path, { workspace, user }),
    command: command(['user', 'reset-account', user]),
    before: null,
    after: null,
    nameToType: user,
    note: (
      <p>
        It takes password and passkeys, ends all sessions of {user}, and revokes the admin tokens of{' '}
        {user} and those that {user} has made for others.
      </p>
    ),
  };
}
