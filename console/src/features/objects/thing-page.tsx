import { Button } from '@mantine/core';
import { useSuspenseQuery } from '@tanstack/react-query';
import { useNavigate, useParams } from '@tanstack/react-router';
import type { ReactNode } from 'react';

import { useMay } from '@/app/rights';
import { useFormDialog } from './form-dialog';
import type { Many } from './nouns';
import { ObjectPage } from './object-page';
import { type Bodies, thingQuery } from './queries';
import { deletion, editSpec, type Room } from './room';

interface Props<M extends Many> {
  room: Room<M>;
  name: string;
  renderState?: (it: Bodies[M]) => ReactNode;
  renderOverview: (it: Bodies[M], workspace: string) => ReactNode;
  renderAccess?: (it: Bodies[M], workspace: string) => ReactNode;
  /** Beside `Edit`. */
  renderTools?: (it: Bodies[M], workspace: string) => ReactNode;
}

/** The page of one thing. */
export function ThingPage<M extends Many>({ room, name, ...render }: Props<M>) {
  const { workspace } = useParams({ from: '/app/workspaces/$workspace' });
  const { data: it } = useSuspenseQuery(thingQuery(workspace, room.many, name));
  const { open, ask, dialog } = useFormDialog(workspace);
  const { why } = useMay(workspace, room.writes, room.on && `${room.on}/${name}`);
  const navigate = useNavigate();
  const no = why ?? room.fixed?.(it);
  const edit = () => {
    const spec = editSpec(room, workspace, it);
    // Under another name it is at another address.
    const onDone = (answer: unknown) => {
      const now = (answer as { name?: string } | undefined)?.name ?? name;
      const href = `/workspaces/${workspace}/${room.many}/${now}`;
      return now === name ? undefined : navigate({ href, replace: true });
    };
    open({ ...spec, onDone });
  };
  return (
    <ObjectPage
      workspace={workspace}
      many={room.many}
      name={it.name}
      state={render.renderState?.(it)}
      tools={
        <>
          {render.renderTools?.(it, workspace)}
          {!room.hasNoEdit && (
            <Button
              variant="default"
              disabled={no !== undefined}
              title={no}
              onClick={edit}
              data-edit
            >
              Edit
            </Button>
          )}
        </>
      }
      deeds={[
        {
          name: 'Delete…',
          isDangerous: true,
          why: no,
          onDo: () =>
            ask(deletion(room, workspace, it.name), () =>
              navigate({ href: `/workspaces/${workspace}/${room.many}`, replace: true }),
            ),
        },
      ]}
      dialog={dialog}
      overview={render.renderOverview(it, workspace)}
      access={render.renderAccess?.(it, workspace)}
    />
  );
}
