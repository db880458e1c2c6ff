import { Button, Modal } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { api, everyPage, type Schemas, take } from '@/api/client';
import { useMay } from '@/app/rights';
import { callOf, command } from '@/features/changes/call';
import type { Change } from '@/features/changes/use-change';
import { checkName, type FormSpec, useFormDialog } from '@/features/objects/form-dialog';
import { Code } from '@/ui/code';
import { type Column, DataTable, TableSkeleton } from '@/ui/data-table';
import { Section } from '@/ui/page';
import { Exact } from '@/ui/time';
import { Trouble } from '@/ui/trouble';

type Token = Schemas['TokenBody'];

interface Props {
  workspace: string;
  app: string;
}

/** What an app presents. A secret is shown once, when it is made, and is kept nowhere. */
export function Tokens({ workspace, app }: Props) {
  const { open, ask, dialog } = useFormDialog(workspace);
  const [secret, setSecret] = useState<string | null>(null);
  const { why } = useMay(workspace, 'apps:write');
  const { data, error } = useQuery({
    queryKey: ['workspace', workspace, 'apps', 'one', app, 'tokens'],
    queryFn: ({ signal }) =>
      everyPage((query) =>
        take(
          api.GET('/api/v1/workspaces/{workspace}/apps/{app}/tokens', {
            params: { path: { workspace, app }, query },
            signal,
          }),
        ),
      ),
  });
  const made = (answer: unknown) => setSecret((answer as Schemas['CreatedToken']).secret);
  return (
    <Section
      title="Tokens"
      note={
        <Button
          variant="default"
          size="compact-xs"
          disabled={why !== undefined}
          title={why}
          onClick={() => open({ ...newToken(workspace, app), onDone: made })}
        >
          New token
        </Button>
      }
    >
      {dialog}
      <Secret secret={secret} onClose={() => setSecret(null)} />
      {error && <Trouble what="The tokens are not shown" error={error} />}
      {data ? (
        <DataTable
          label="Tokens"
          columns={COLUMNS}
          rows={data.items}
          rowId={(it) => it.name}
          deeds={(it) => [
            {
              name: 'Revoke…',
              isDangerous: true,
              why,
              onDo: () => ask(revocation(workspace, app, it)),
            },
          ]}
          empty="None: the app cannot call."
        />
      ) : (
        !error && <TableSkeleton rows={1} />
      )}
    </Section>
  );
}

function Secret({ secret, onClose }: { secret: string | null; onClose: () => void }) {
  return (
    <Modal
      opened={secret !== null}
      onClose={onClose}
      title="The token, shown once"
      closeButtonProps={{ 'aria-label': 'Close' }}
      transitionProps={{ duration: 0 }}
    >
      <p>Copy it now: it is kept nowhere, here or at the gateway.</p>
      {secret !== null && <Code text={secret} what="token" />}
    </Modal>
  );
}

const DAY_SECONDS = 86_400;

function newToken(workspace: string, app: string): FormSpec {
  return {
    title: `New token for ${app}`,
    fields: [
      { name: 'name', label: 'Name', isNeeded: true, check: checkName },
      {
        name: 'days',
        label: 'Valid for',
        description: 'Days',
        type: 'choice',
        options: ['90', '30', '7', '1'],
      },
    ],
    plan: ({ name = '', days = '90' }) => newTokenChange(workspace, app, name, Number(days)),
  };
}

/** A token that is made when what it is has been seen. */
export function newTokenChange(workspace: string, app: string, name: string, days: number): Change {
  return {
    title: `New token ${name} for ${app}`,
    verb: `Make ${name}`,
    call: callOf(
      'post',
      '/api/v1/workspaces/{workspace}/apps/{app}/tokens',
      { workspace, app },
      { name, lifetime_seconds: days * DAY_SECONDS },
    ),
    command: command(['token', 'create', name], { app, for: `${days}d` }),
    before: null,
  };
}

function revocation(workspace: string, app: string, token: Token) {
  const path = `/api/v1/workspaces/${workspace}/apps/${app}/tokens/${token.id}`;
  return {
    title: `Revoke token ${token.name}?`,
    verb: `Revoke ${token.name}`,
    call: { method: 'delete', path } as const,
    command: command(['token', 'revoke', token.name], { app }),
    before: null,
    of: path,
    after: null,
    nameToType: token.name,
    note: <p>Whoever presents it is refused at once, and what is under way with it ends.</p>,
  };
}

const COLUMNS: Column<Token>[] = [
  { id: 'name', header: 'Name', accessorFn: (it) => it.name },
  {
    id: 'expires',
    header: 'Expires',
    accessorFn: (it) => it.expires_at,
    cell: ({ row: { original: it } }) => <Exact at={it.expires_at} />,
  },
  {
    id: 'created',
    header: 'Made',
    accessorFn: (it) => it.created_at,
    cell: ({ row: { original: it } }) => <Exact at={it.created_at} />,
    meta: { hide: 'narrow' },
  },
];
