import { useSuspenseQuery } from '@tanstack/react-query';

import { type Column, DataTable } from '@/ui/data-table';
import { Section } from '@/ui/page';
import { Pill } from '@/ui/pill';
import { Visible } from '@/ui/visible';
import classes from './gateway-page.module.css';
import { type Rule, rulesQuery } from './queries';

interface Props {
  workspace: string;
  gateway: string;
}

/** What is looked for in requests and answers, and what is done about it. */
export function RuleTable({ workspace, gateway }: Props) {
  const { data } = useSuspenseQuery(rulesQuery(workspace, gateway));
  const rows = data.items.toSorted((a, b) => a.position - b.position);
  return (
    <Section title="Rules" note="in the order in which they run">
      <DataTable
        label="Rules of this gateway"
        columns={COLUMNS}
        rows={rows}
        rowId={(it) => it.id}
        empty="No rules: content passes as it is."
      />
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
