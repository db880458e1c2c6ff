import { useMay } from '@/app/rights';
import { useFormDialog } from '@/features/objects/form-dialog';
import { ThingLinks } from '@/features/objects/thing-links';
import { type Column, DataTable } from '@/ui/data-table';
import { Section } from '@/ui/page';
import { reassigning } from '../plans';
import type { Assignment } from '../queries';
import { RowButton } from './row-button';

interface Props {
  workspace: string;
  gateway: string;
  assignments: Assignment[];
}

/** Whose credential goes to which server. */
export function CredentialStep({ workspace, gateway, assignments }: Props) {
  const { open, dialog } = useFormDialog(workspace);
  const { why } = useMay(workspace, 'gateways:write', `gateway/${gateway}`);
  const change = (it: Assignment) => open(reassigning(workspace, it));
  return (
    <Section title="Identities" note="what each server is shown">
      {dialog}
      <DataTable
        label="Credentials on this gateway"
        columns={[...COLUMNS, changeColumn(why, change)]}
        rows={assignments}
        rowId={(it) => it.alias}
        empty="No server is assigned: begin with the servers."
      />
    </Section>
  );
}

const SCHEMES: Record<Assignment['scheme'], string> = {
  open: 'None: the server asks for nothing',
  shared: 'One for everybody',
  own: 'Each person’s own, chosen for each connection',
};

const COLUMNS: Column<Assignment>[] = [
  { id: 'alias', header: 'Server', accessorFn: (it) => it.alias },
  { id: 'scheme', header: 'Credential', accessorFn: (it) => SCHEMES[it.scheme] },
  {
    id: 'identity',
    header: 'Identity',
    cell: ({ row: { original: it } }) => (
      <ThingLinks
        many="identities"
        names={it.identity ? [it.identity] : []}
        none={it.scheme === 'shared' ? 'None is chosen' : '–'}
      />
    ),
  },
];

function changeColumn(
  why: string | undefined,
  onChange: (it: Assignment) => void,
): Column<Assignment> {
  return {
    id: 'change',
    header: 'Change',
    cell: ({ row: { original: it } }) => (
      <RowButton
        why={why}
        label={`Change the credential of ${it.alias}`}
        onClick={() => onChange(it)}
      >
        Change…
      </RowButton>
    ),
  };
}
