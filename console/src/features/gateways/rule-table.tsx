import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';

import { useMay } from '@/app/rights';
import { useFormDialog } from '@/features/objects/form-dialog';
import { type Column, DataTable } from '@/ui/data-table';
import { Section } from '@/ui/page';
import { Pill } from '@/ui/pill';
import { TableSkeleton } from '@/ui/table-skeleton';
import { Trouble } from '@/ui/trouble';
import { Visible } from '@/ui/visible';
import classes from './gateway-page.module.css';
import { type Rule, rulesQuery } from './queries';
import { changingRule, deletingRule, makingRule } from './rule-plans';

interface Props {
  workspace: string;
  gateway: string;
}

/** What is looked for in requests and answers, and what is done about it. */
export function RuleTable({ workspace, gateway }: Props) {
  const { data, error } = useQuery(rulesQuery(workspace, gateway));
  const rows = data?.items.toSorted((a, b) => a.position - b.position);
  const { open, ask, dialog } = useFormDialog(workspace);
  const { why } = useMay(workspace, 'rules:write', `gateway/${gateway}`);
  const where = { workspace, gateway };
  return (
    <Section
      title="Rules"
      note={
        <>
          in the order in which they run{' '}
          <Button
            variant="default"
            size="compact-xs"
            disabled={why !== undefined}
            title={why}
            onClick={() => open(makingRule(where))}
          >
            New rule
          </Button>
        </>
      }
    >
      {dialog}
      {error && <Trouble what="The rules are not shown" error={error} />}
      {rows ? (
        <DataTable
          label="Rules of this gateway"
          columns={COLUMNS}
          rows={rows}
          rowId={(it) => it.name}
          deeds={(it) => [
            { name: 'Edit', why, onDo: () => open(changingRule(where, it)) },
            {
              name: 'Delete…',
              isDangerous: true,
              why,
              onDo: () => ask(deletingRule(where, it)),
            },
          ]}
          empty="No rules: content passes as it is."
        />
      ) : (
        !error && <TableSkeleton rows={1} />
      )}
    </Section>
  );
}

const COLUMNS: Column<Rule>[] = [
  { id: 'name', header: 'Name', accessorFn: (it) => it.name },
  {
    id: 'pattern',
    header: 'Pattern',
    cell: ({ row: { original: it } }) => (
      <code className={classes.pattern}>
        <Visible text={it.pattern} />
      </code>
    ),
  },
  { id: 'action', header: 'Action', cell: ({ row: { original: it } }) => actionOf(it) },
  { id: 'legs', header: 'Looks at', accessorFn: legsOf, meta: { hide: 'medium' } },
  {
    id: 'tools',
    header: 'Tools',
    cell: ({ row: { original: it } }) => <Visible text={it.tools?.join(', ') ?? 'all'} />,
    meta: { hide: 'wide' },
  },
  {
    id: 'mode',
    header: 'Mode',
    cell: ({ row: { original: it } }) => (
      <Pill tone={it.observe_only ? 'calm' : 'good'}>
        {it.observe_only ? 'Only observes' : 'Acts'}
      </Pill>
    ),
    meta: { hide: 'narrow' },
  },
];

function actionOf({ action }: Rule) {
  switch (action.type) {
    case 'block':
      return <Visible text={`block: ${action.message}`} />;
    case 'mask':
      return action.keep_last ? `mask, keep last ${action.keep_last}` : 'mask';
    case 'replace':
      return <Visible text={`replace with ${action.with}`} />;
    case 'hash':
    case 'redact':
      return action.type;
  }
}

function legsOf(rule: Rule): string {
  if (rule.on_request && rule.on_response) return 'requests and answers';
  return rule.on_request ? 'requests' : 'answers';
}
