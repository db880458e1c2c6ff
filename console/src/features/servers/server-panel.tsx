import { Button } from '@mantine/core';
import { useSuspenseQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import type { ReactNode } from 'react';

import { useMay } from '@/app/rights';
import { CutoffSwitch } from '@/features/cutoffs/cutoff-switch';
import { useFormDialog } from '@/features/objects/form-dialog';
import { Actions } from '@/features/objects/object-page';
import { ObjectTabs } from '@/features/objects/object-tabs';
import { deletion, editSpec } from '@/features/objects/room';
import { Code } from '@/ui/code';
import { Section } from '@/ui/page';
import { Facts, Panel } from '@/ui/panel';
import { Exact } from '@/ui/time';
import { Stale } from '@/ui/trouble';
import { Visible } from '@/ui/visible';
import { addressOf, ERA_WORDS, TASKS_WORDS, transportWord } from './address';
import { type Server, serverQuery } from './queries';
import { SERVERS } from './room';
import { ServerAccess } from './server-access';
import { ServerState } from './state';

/** One server: its switch first, then how it is doing and how it is reached. */
export function ServerPanel() {
  const params = useParams({ from: '/app/workspaces/$workspace/servers/$server' });
  const { workspace, server: name } = params;
  const navigate = useNavigate({ from: '/workspaces/$workspace/servers/$server' });
  const { data: server, error, dataUpdatedAt } = useSuspenseQuery(serverQuery(workspace, name));
  const { open, ask, dialog } = useFormDialog(workspace);
  const { why } = useMay(workspace, SERVERS.writes, `server/${name}`);
  const close = () =>
    navigate({
      to: '/workspaces/$workspace/servers',
      params,
      search: (old) => ({ ...old, tab: undefined }),
    });
  const edit = () => {
    const spec = editSpec(SERVERS, workspace, server);
    // Under another name it is at another address.
    const onDone = (answer: unknown) => {
      const now = (answer as { name?: string } | undefined)?.name ?? name;
      if (now === name) return;
      return navigate({ params: { workspace, server: now }, search: (old) => old, replace: true });
    };
    open({ ...spec, onDone });
  };
  const deeds = [
    {
      name: 'Delete…',
      isDangerous: true,
      why,
      onDo: () => ask(deletion(SERVERS, workspace, name), close),
    },
  ];
  return (
    <Panel
      key={server.id}
      title={server.name}
      label={`Server ${server.name}`}
      tools={
        <>
          <Button
            variant="default"
            size="xs"
            disabled={why !== undefined}
            title={why}
            onClick={edit}
            data-edit
          >
            Edit
          </Button>
          <Actions name={server.name} deeds={deeds} />
        </>
      }
      onClose={() => void close()}
    >
      {dialog}
      <Stale error={error} since={dataUpdatedAt} />
      <CutoffSwitch
        workspace={workspace}
        target={{ kind: 'server', name: server.name }}
        isOn={server.enabled}
        off={server.off}
      />
      <ObjectTabs
        workspace={workspace}
        many="servers"
        name={name}
        overview={<Overview server={server} workspace={workspace} />}
        access={<ServerAccess server={name} workspace={workspace} />}
      />
    </Panel>
  );
}

function Overview({ server, workspace }: { server: Server; workspace: string }) {
  return (
    <>
      <Facts facts={facts(server)} />
      <Section title={server.transport.type === 'stdio' ? 'Command' : 'URL'}>
        <Code text={addressOf(server)} what="address" />
      </Section>
      {server.transport.type === 'stdio' && <Environment env={server.transport.env ?? {}} />}
      <Section title="What it did">
        <Link
          to="/workspaces/$workspace/records"
          params={{ workspace }}
          search={{ server: server.name }}
        >
          Live records of {server.name}
        </Link>
      </Section>
    </>
  );
}

function facts(server: Server): [string, ReactNode][] {
  return [
    ['State', <ServerState key="state" server={server} />],
    ...(server.status?.detail
      ? ([['Last error', <Visible key="error" text={server.status.detail} />]] as [
          string,
          ReactNode,
        ][])
      : []),
    ['Tools', server.status?.tools ?? 'not known yet'],
    ['Transport', transportWord(server)],
    ['Era', ERA_WORDS[server.era]],
    ['Tasks', TASKS_WORDS[server.tasks]],
    ['Review', server.review === 'on' ? 'on: nothing is seen before it is approved' : 'off'],
    ['Labels', server.labels.join(', ') || 'none'],
    ['Folders of clients', server.roots ? 'may be asked for' : 'not asked for'],
    ['Registered', <Exact key="created" at={server.created_at} />],
    ['Id', <code key="id">{server.id}</code>],
  ];
}

/** Names alone: a value may be a secret that should have been an identity. */
function Environment({ env }: { env: Record<string, string> }) {
  const names = Object.keys(env);
  if (names.length === 0) return null;
  return (
    <Section title="Environment" note="names only">
      <Code text={names.join('\n')} what="environment" />
    </Section>
  );
}
