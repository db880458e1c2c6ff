import { Button } from '@mantine/core';
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { type ReactNode, useEffect } from 'react';

import { useMay } from '@/app/rights';
import type { Column } from '@/ui/data-table';
import { Empty } from '@/ui/empty';
import { PlusIcon } from '@/ui/icons';
import { Listing } from '@/ui/listing';
import rowLink from '@/ui/row-link.module.css';
import { type FormSpec, useFormDialog } from './form-dialog';
import { addressOf, type Many, NOUNS } from './nouns';
import { type Bodies, thingsQuery } from './queries';
import { deletion, editSpec, makeSpec, type Room } from './room';

/** The list of a room, where things of its kind are made, changed and deleted. */
export function ThingsPage<M extends Many>({ room, note }: { room: Room<M>; note?: ReactNode }) {
  const { workspace } = useParams({ from: '/app/workspaces/$workspace' });
  const { open, ask, dialog } = useFormDialog(workspace);
  const { isAllowed, why } = useMay(workspace, room.writes);
  const noun = NOUNS[room.many];
  const { title, says, file } = room.empty;
  useMaking(room, workspace, open);
  return (
    <Listing<Bodies[M]>
      title={room.title}
      workspace={workspace}
      query={thingsQuery(workspace, room.many)}
      columns={room.columns}
      rowId={(it) => it.name}
      textOf={room.textOf}
      tools={
        <Button
          leftSection={<PlusIcon size={14} />}
          disabled={!isAllowed}
          title={why}
          onClick={() => open(makeSpec(room, workspace))}
        >
          New {noun.one}
        </Button>
      }
      extra={
        <>
          {note}
          {dialog}
        </>
      }
      deeds={(it) => {
        const no = why ?? room.fixed?.(it);
        const edit = { name: 'Edit', why: no, onDo: () => open(editSpec(room, workspace, it)) };
        return [
          ...(room.hasNoEdit ? [] : [edit]),
          {
            name: 'Delete…',
            isDangerous: true,
            why: no,
            onDo: () => ask(deletion(room, workspace, it.name)),
          },
        ];
      }}
      empty={
        <Empty title={title} file={file} command={`ostiary apply -f ${noun.command}.yaml`}>
          {says}
        </Empty>
      }
    />
  );
}

/** Opens the form for a new one where the address asks for it. */
export function useMaking<M extends Many>(
  room: Room<M>,
  workspace: string,
  open: (spec: FormSpec) => void,
) {
  const { make } = useSearch({ strict: false });
  const navigate = useNavigate();
  useEffect(() => {
    if (!make) return;
    void navigate({ to: '.', search: (old) => ({ ...old, make: undefined }), replace: true });
    open(makeSpec(room, workspace));
  }, [make, navigate, open, room, workspace]);
}

/** The name of a thing, which leads to its page. */
export function nameColumn<M extends Many>(many: M): Column<Bodies[M]> {
  return {
    id: 'name',
    header: 'Name',
    accessorFn: (it) => it.name,
    cell: ({ row: { original: it } }) => <NameLink many={many} name={it.name} />,
  };
}

function NameLink({ many, name }: { many: Many; name: string }) {
  const { workspace } = useParams({ from: '/app/workspaces/$workspace' });
  return (
    // The address is made from the same words as the routes.
    <Link to={addressOf(workspace, many, name) as '/'} className={rowLink.link} data-row>
      {name}
    </Link>
  );
}
