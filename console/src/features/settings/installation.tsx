/** What is above all workspaces: shown to those who stand there themselves. */
import { Button } from '@mantine/core';
import { queryOptions, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';

import { api, everyPage, type Schemas, take } from '@/api/client';
import { callOf, command } from '@/features/changes/call';
import { type Change, useChange } from '@/features/changes/use-change';
import { checkName, type FormSpec, useFormDialog } from '@/features/objects/form-dialog';
import { type Workspace, workspacesQuery } from '@/features/workspaces/queries';
import { type Column, DataTable } from '@/ui/data-table';
import { Section } from '@/ui/page';
import rowLink from '@/ui/row-link.module.css';
import { TableSkeleton } from '@/ui/table-skeleton';
import { Ago, Exact } from '@/ui/time';
import { Trouble } from '@/ui/trouble';

type Account = Schemas['AccountBody'];
type AdminToken = Schemas['AdminTokenBody'];

export function Workspaces({ workspace }: { workspace: string }) {
  const queries = useQueryClient();
  const { data, error } = useQuery(workspacesQuery);
  const { open, ask, dialog } = useFormDialog(workspace);
  const refresh = () => queries.invalidateQueries({ queryKey: workspacesQuery.queryKey });
  return (
    <Section
      title="Workspaces"
      note={
        <Button
          variant="default"
          size="compact-xs"
          onClick={() => open({ ...NEW_WORKSPACE, onDone: refresh })}
        >
          New workspace
        </Button>
      }
    >
      {dialog}
      {error && <Trouble what="The workspaces are not shown" error={error} />}
      {!data && !error && <TableSkeleton rows={2} />}
      {data && (
        <DataTable
          label="Workspaces"
          columns={WORKSPACE_COLUMNS}
          rows={data.items}
          rowId={(it) => it.name}
          deeds={(it) => [
            {
              name: 'Delete…',
              isDangerous: true,
              why: it.name === workspace ? 'You are in it' : undefined,
              onDo: () => ask(workspaceDeletion(it.name), refresh),
            },
          ]}
        />
      )}
    </Section>
  );
}

const NEW_WORKSPACE: FormSpec = {
  title: 'New workspace',
  fields: [
    { name: 'name', label: 'Name', isNeeded: true, check: checkName },
    {
      name: 'durability',
      label: 'A record counts as kept when it is',
      type: 'choice',
      options: ['written', 'synced'],
    },
  ],
  plan: ({ name = '', durability = 'written' }) => ({
    title: `New workspace ${name}`,
    verb: `Make ${name}`,
    call: callOf(
      'post',
      '/api/v1/workspaces',
      {},
      { name, durability: durability === 'synced' ? 'synced' : 'written' },
    ),
    command: command(['workspace', 'create', name], { durability }),
    before: null,
  }),
};

function workspaceDeletion(name: string): Change {
  const path = `/api/v1/workspaces/${name}`;
  return {
    title: `Delete workspace ${name}?`,
    verb: `Delete ${name}`,
    call: { method: 'delete', path },
    command: command(['workspace', 'delete', name]),
    before: null,
    of: path,
    after: null,
    nameToType: name,
    note: <p>It must be empty. What was recorded of it stays.</p>,
  };
}

const WORKSPACE_COLUMNS: Column<Workspace>[] = [
  {
    id: 'name',
    header: 'Name',
    accessorFn: (it) => it.name,
    cell: ({ row: { original: it } }) => (
      <Link
        to="/workspaces/$workspace"
        params={{ workspace: it.name }}
        className={rowLink.link}
        data-row
      >
        {it.name}
      </Link>
    ),
  },
  { id: 'durability', header: 'Durability', accessorFn: (it) => it.durability },
  {
    id: 'created',
    header: 'Made',
    accessorFn: (it) => it.created_at,
    cell: ({ row: { original: it } }) => <Exact at={it.created_at} />,
    meta: { hide: 'narrow' },
  },
];

const accountsQuery = queryOptions({
  queryKey: ['accounts'],
  queryFn: ({ signal }) =>
    everyPage((query) => take(api.GET('/api/v1/accounts', { params: { query }, signal }))),
});

export function Accounts({ workspace }: { workspace: string }) {
  const queries = useQueryClient();
  const { data, error } = useQuery(accountsQuery);
  const { ask, dialog } = useChange(workspace);
  const refresh = () => queries.invalidateQueries({ queryKey: accountsQuery.queryKey });
  return (
    <Section title="Accounts above all workspaces" note="each may do anything">
      {dialog}
      {error && <Trouble what="The accounts are not shown" error={error} />}
      {!data && !error && <TableSkeleton rows={1} />}
      {data && (
        <DataTable
          label="Accounts"
          columns={ACCOUNT_COLUMNS}
          rows={data.items}
          rowId={(it) => it.name}
          deeds={(it) => [
            { name: 'Remove…', isDangerous: true, onDo: () => ask(removal(it.name), refresh) },
          ]}
          empty="None: one signs in with an admin token."
        />
      )}
    </Section>
  );
}

function removal(account: string): Change {
  return {
    title: `Remove account ${account}?`,
    verb: `Remove ${account}`,
    call: callOf('delete', '/api/v1/accounts/{account}', { account }),
    command: command(['account', 'remove', account]),
    before: null,
    after: null,
    nameToType: account,
    note: <p>With its passkeys. Its sessions end at once; tokens are revoked by themselves.</p>,
  };
}

const ACCOUNT_COLUMNS: Column<Account>[] = [
  { id: 'name', header: 'Name', accessorFn: (it) => it.name },
  {
    id: 'passkeys',
    header: 'Passkeys',
    accessorFn: (it) => it.passkeys.length,
    meta: { isNumber: true },
  },
  {
    id: 'password',
    header: 'Password set',
    accessorFn: (it) => it.password_set_at ?? '',
    cell: ({ row: { original: it } }) =>
      it.password_set_at ? <Ago at={it.password_set_at} /> : 'none',
  },
];

const adminTokensQuery = queryOptions({
  queryKey: ['admin-tokens'],
  queryFn: ({ signal }) =>
    everyPage((query) => take(api.GET('/api/v1/admin-tokens', { params: { query }, signal }))),
});

export function AdminTokens({ workspace }: { workspace: string }) {
  const queries = useQueryClient();
  const { data, error } = useQuery(adminTokensQuery);
  const { ask, dialog } = useChange(workspace);
  const refresh = () => queries.invalidateQueries({ queryKey: adminTokensQuery.queryKey });
  return (
    <Section title="Admin tokens above all workspaces" note="each may do anything">
      {dialog}
      {error && <Trouble what="The admin tokens are not shown" error={error} />}
      {!data && !error && <TableSkeleton rows={1} />}
      {data && (
        <DataTable
          label="Admin tokens"
          columns={TOKEN_COLUMNS}
          rows={data.items}
          rowId={(it) => it.name}
          deeds={(it) => [
            {
              name: 'Revoke…',
              isDangerous: true,
              why: data.items.length === 1 ? 'The last one stays' : undefined,
              onDo: () => ask(revocation(it), refresh),
            },
          ]}
        />
      )}
      <p>
        Another one is made on the machine of the gateway: <code>ostiary admin-token</code>.
      </p>
    </Section>
  );
}

function revocation({ id, name }: AdminToken): Change {
  return {
    title: `Revoke admin token ${name}?`,
    verb: `Revoke ${name}`,
    call: callOf('delete', '/api/v1/admin-tokens/{admin_token}', { admin_token: id }),
    command: command(['token', 'revoke', name]),
    before: null,
    after: null,
    nameToType: name,
    note: <p>The sessions that were begun with it end at once.</p>,
  };
}

const TOKEN_COLUMNS: Column<AdminToken>[] = [
  { id: 'name', header: 'Name', accessorFn: (it) => it.name },
  {
    id: 'created',
    header: 'Made',
    accessorFn: (it) => it.created_at,
    cell: ({ row: { original: it } }) => <Exact at={it.created_at} />,
  },
];
