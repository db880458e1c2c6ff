import { Button, Modal } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { api, everyPage, type Schemas, take } from '@/api/client';
import { useMay } from '@/app/rights';
import { callOf, command } from '@/features/changes/call';
import type { Change } from '@/features/changes/use-change';
import { checkName, type FormSpec, useFormDialog } from '@/features/objects/form-dialog';
import { Code } from '@/ui/code';
import { type Column, DataTable } from '@/ui/data-table';
import { Section } from '@/ui/page';
import { TableSkeleton } from '@/ui/table-skeleton';
import { Exact } from '@/ui/time';
import { Trouble } from '@/ui/trouble';

type Token = Schemas['TokenBody'];

/** Who presents them. */
export interface Holder {
  kind: keyof typeof KINDS;
  name: string;
}

const KINDS = {
  app: {
    title: 'Tokens',
    list: '/api/v1/workspaces/{workspace}/apps/{app}/tokens',
    word: 'token',
    writes: 'apps:write',
    none: 'None: the app cannot call.',
  },
  user: {
    title: 'Admin tokens',
    list: '/api/v1/workspaces/{workspace}/users/{user}/admin-tokens',
    word: 'user-token',
    writes: 'admin-tokens:write',
    none: 'None: no program administers as this user.',
  },
} as const;

interface Props {
  workspace: string;
  holder: Holder;
}

/** What somebody presents. A secret is shown once, when it is made, and is kept nowhere. */
export function Tokens({ workspace, holder }: Props) {
  const { title, list, writes, none } = KINDS[holder.kind];
  const { open, ask, dialog } = useFormDialog(workspace);
  const [secret, setSecret] = useState<string | null>(null);
  const { why } = useMay(workspace, writes);
  const { data, error } = useQuery({
    queryKey: ['workspace', workspace, `${holder.kind}s`, 'one', holder.name, 'tokens'],
    queryFn: ({ signal }) =>
      everyPage((query) =>
        take(
          // Both answer alike as far as is shown here.
          api.GET(list as typeof KINDS.app.list, {
            params: { path: namesOf(workspace, holder), query },
            signal,
          }),
        ),
      ),
  });
  const made = (answer: unknown) => setSecret((answer as Schemas['CreatedToken']).secret);
  return (
    <Section
      title={title}
      note={
        <Button
          variant="default"
          size="compact-xs"
          disabled={why !== undefined}
          title={why}
          onClick={() => open({ ...newToken(workspace, holder), onDone: made })}
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
          label={title}
          columns={COLUMNS}
          rows={data.items}
          rowId={(it) => it.name}
          deeds={(it) => [
            {
              name: 'Revoke…',
              isDangerous: true,
              why,
              onDo: () => ask(revocation(workspace, holder, it)),
            },
          ]}
          empty={none}
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

function namesOf(workspace: string, { name }: Holder) {
  return { workspace, app: name, user: name };
}

function newToken(workspace: string, holder: Holder): FormSpec {
  return {
    title: `New token for ${holder.name}`,
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
    plan: ({ name = '', days = '90' }) => newTokenChange(workspace, holder, name, Number(days)),
  };
}

/** A token that is made when what it is has been seen. */
export function newTokenChange(
  workspace: string,
  holder: Holder,
  name: string,
  days: number,
): Change {
  const { list, word } = KINDS[holder.kind];
  const body = { name, lifetime_seconds: days * DAY_SECONDS };
  return {
    title: `New token ${name} for ${holder.name}`,
    verb: `Make ${name}`,
    call: callOf('post', list, namesOf(workspace, holder), body),
    command: command([word, 'create', name], { [holder.kind]: holder.name, for: `${days}d` }),
    before: null,
  };
}

function revocation(workspace: string, holder: Holder, token: Token): Change {
  const { word } = KINDS[holder.kind];
  const path = `${newTokenChange(workspace, holder, '', 0).call.path}/${token.id}`;
  return {
    title: `Revoke token ${token.name}?`,
    verb: `Revoke ${token.name}`,
    call: { method: 'delete', path },
    command: command([word, 'revoke', token.name], { [holder.kind]: holder.name }),
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
