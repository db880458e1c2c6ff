import { Button } from '@mantine/core';
import { useSuspenseQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { useMay } from '@/app/rights';
import { useFormDialog } from '@/features/objects/form-dialog';
import { ThingLinks } from '@/features/objects/thing-links';
import { type Column, DataTable } from '@/ui/data-table';
import { Section } from '@/ui/page';
import { Pill } from '@/ui/pill';
import { Visible } from '@/ui/visible';
import { ExposeDialog } from './expose-dialog';
import classes from './gateway-page.module.css';
import { reassigning, unassigning } from './plans';
import { type Assignment, assignmentsQuery, type Offers, type Provision } from './queries';

interface Props {
  workspace: string;
  gateway: string;
}

/** The servers on a gateway: under which alias, with whose credential, exposing what. */
export function AssignmentTable({ workspace, gateway }: Props) {
  const { data } = useSuspenseQuery(assignmentsQuery(workspace, gateway));
  const rows = data.items.toSorted((a, b) => a.position - b.position);
  const [changing, setChanging] = useState<[Assignment, Offers] | null>(null);
  const { open, ask, dialog } = useFormDialog(workspace);
  const { why } = useMay(workspace, 'gateways:write', `gateway/${gateway}`);
  const offered = OFFERED.map((it) => offersColumn(it, why, setChanging));
  return (
    <Section title="Servers" note="in the order in which their tools are listed">
      {dialog}
      <DataTable
        label="Servers on this gateway"
        columns={[...COLUMNS, ...offered, STATE]}
        rows={rows}
        rowId={(it) => it.alias}
        deeds={(it) => [
          {
            name: 'Alias, credential, position',
            why,
            onDo: () => open(reassigning(workspace, it)),
          },
          {
            name: 'Take off…',
            isDangerous: true,
            why,
            onDo: () => ask(unassigning(workspace, it)),
          },
        ]}
        empty="No server is assigned, so this gateway offers nothing."
      />
      {changing && (
        <ExposeDialog
          workspace={workspace}
          assignment={changing[0]}
          offers={changing[1]}
          onClose={() => setChanging(null)}
        />
      )}
    </Section>
  );
}

const OFFERED: Offers[] = ['tools', 'prompts', 'resources'];

function offersColumn(
  offers: Offers,
  why: string | undefined,
  onChange: (what: [Assignment, Offers]) => void,
): Column<Assignment> {
  return {
    id: offers,
    header: offers.charAt(0).toUpperCase() + offers.slice(1),
    cell: ({ row: { original: it } }) => (
      <span className={classes.exposed}>
        <Provisioned provision={it[offers]} />
        <Button
          variant="subtle"
          size="compact-xs"
          disabled={why !== undefined}
          title={why}
          aria-label={`Change which ${offers} of ${it.alias} are exposed`}
          onClick={() => onChange([it, offers])}
        >
          Change
        </Button>
      </span>
    ),
    meta: { hide: offers === 'tools' ? 'narrow' : 'medium' },
  };
}

const COLUMNS: Column<Assignment>[] = [
  { id: 'alias', header: 'Alias', accessorFn: (it) => it.alias },
  {
    id: 'server',
    header: 'Server',
    cell: ({ row: { original: it } }) => <ThingLinks many="servers" names={[it.server]} none="" />,
  },
  {
    id: 'scheme',
    header: 'Credential',
    cell: ({ row: { original: it } }) =>
      it.scheme === 'shared' ? `shared: ${it.identity ?? ''}` : SCHEMES[it.scheme],
  },
];

const STATE: Column<Assignment> = {
  id: 'state',
  header: 'State',
  cell: ({ row: { original: it } }) => (
    <Pill tone={it.enabled ? 'good' : 'bad'}>{it.enabled ? 'On' : 'Off'}</Pill>
  ),
};

const SCHEMES = { open: 'none', own: 'each user’s own' };

function Provisioned({ provision }: { provision: Provision }) {
  switch (provision.expose) {
    case 'all':
      return 'all';
    case 'nothing':
      return <span className={classes.dim}>none</span>;
    case 'conditions':
      return (
        <code>
          <Visible text={JSON.stringify(provision.where)} />
        </code>
      );
    case 'named':
      return (
        <span className={classes.names}>
          {provision.names.map((name) => (
            <code key={name}>
              <Visible text={name} />
            </code>
          ))}
        </span>
      );
  }
}
