import { SegmentedControl } from '@mantine/core';
import { Link, Outlet, useNavigate, useParams, useSearch } from '@tanstack/react-router';

import type { Column } from '@/ui/data-table';
import { Listing } from '@/ui/listing';
import { Pill } from '@/ui/pill';
import rowLink from '@/ui/row-link.module.css';
import { Split } from '@/ui/split';
import { Ago } from '@/ui/time';
import { usePlanned } from '@/ui/undo';
import { Visible } from '@/ui/visible';
import { KIND_WORDS, type Pin, type PinState, pinsQuery, STATES } from './queries';

const HERE = '/app/workspaces/$workspace/pins';

/** What servers under review list: what waits for a decision first. */
export function PinsPage() {
  const { workspace } = useParams({ from: HERE });
  const { pin: open } = useParams({ strict: false });
  const { state } = useSearch({ from: HERE });
  const navigate = useNavigate({ from: '/workspaces/$workspace/pins' });
  const shown = state ?? 'pending';
  const list = (
    <Listing
      title="Approvals"
      workspace={workspace}
      query={pinsQuery(workspace, shown)}
      columns={COLUMNS}
      rowId={(it) => it.id}
      textOf={(it) => `${it.name} ${it.server} ${it.kind} ${it.hash}`}
      openId={open}
      tools={
        <SegmentedControl
          size="xs"
          aria-label="State"
          data={STATES.map((it) => ({ value: it, label: WORDS[it] }))}
          value={shown}
          onChange={(state) =>
            void navigate({
              to: '/workspaces/$workspace/pins',
              params: { workspace },
              search: (old) => ({ ...old, state }),
            })
          }
        />
      }
      empty={<p>{EMPTY[shown]}</p>}
    />
  );
  return <Split list={list} panel={open ? <Outlet /> : null} />;
}

const WORDS: Record<PinState, string> = {
  pending: 'Waiting',
  approved: 'Approved',
  rejected: 'Denied',
};

const EMPTY: Record<PinState, string> = {
  pending: 'Nothing waits. What servers under review list comes up here when somebody lists it.',
  approved: 'Nothing is approved.',
  rejected: 'Nothing is denied.',
};

/** What has been decided and not yet been sent. */
function Planned({ id }: { id: string }) {
  const isPlanned = usePlanned().some((it) => it.id === id);
  return isPlanned ? <Pill tone="calm">In a moment</Pill> : null;
}

const COLUMNS: Column<Pin>[] = [
  {
    id: 'name',
    header: 'Name',
    accessorFn: (it) => it.name,
    cell: ({ row: { original: it } }) => (
      <Link
        from="/workspaces/$workspace/pins"
        to="/workspaces/$workspace/pins/$pin"
        params={(old) => ({ workspace: old.workspace ?? '', pin: it.id })}
        search={(old) => old}
        className={rowLink.link}
        data-row
      >
        <Visible text={it.name} />
      </Link>
    ),
  },
  {
    id: 'planned',
    header: 'Decision',
    cell: ({ row: { original: it } }) => <Planned id={it.id} />,
    meta: { hide: 'narrow' },
  },
  { id: 'server', header: 'Server', accessorFn: (it) => it.server },
  { id: 'kind', header: 'Kind', accessorFn: (it) => KIND_WORDS[it.kind] ?? it.kind },
  {
    id: 'marks',
    header: 'Hides',
    accessorFn: (it) => it.marks.length,
    cell: ({ row: { original: it } }) =>
      it.marks.length > 0 && <Pill tone="bad">{it.marks.join(', ').replaceAll('_', ' ')}</Pill>,
    meta: { hide: 'narrow' },
  },
  {
    id: 'seen',
    header: 'First seen',
    accessorFn: (it) => it.first_seen,
    cell: ({ row: { original: it } }) => <Ago at={it.first_seen} />,
    meta: { hide: 'medium' },
  },
];
