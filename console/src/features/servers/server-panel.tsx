import { useSuspenseQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import type { ReactNode } from 'react';

import { CutoffSwitch } from '@/features/cutoffs/cutoff-switch';
import { Code } from '@/ui/code';
import { Section } from '@/ui/page';
import { Facts, Panel } from '@/ui/panel';
import { Exact } from '@/ui/time';
import { Stale } from '@/ui/trouble';
import { Visible } from '@/ui/visible';
import { addressOf, ERA_WORDS, TASKS_WORDS, transportWord } from './address';
import { type Server, serverQuery } from './queries';
import { ServerState } from './state';

/** One server: its switch first, then how it is doing and how it is reached. */
export function ServerPanel() {
  const params = useParams({ from: '/app/workspaces/$workspace/servers/$server' });
  const { workspace, server: name } = params;
  const navigate = useNavigate({ from: '/workspaces/$workspace/servers/$server' });
  const { data: server, error, dataUpdatedAt } = useSuspenseQuery(serverQuery(workspace, name));
  const close = () =>
    void navigate({ to: '/workspaces/$workspace/servers', params, search: (old) => old });
  return (
    <Panel key={server.id} title={server.name} label={`Server ${server.name}`} onClose={close}>
      <Stale error={error} since={dataUpdatedAt} />
      <CutoffSwitch
        workspace={workspace}
        target={{ kind: 'server', name: server.name }}
        isOn={server.enabled}
        off={server.off}
      />
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
    </Panel>
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
