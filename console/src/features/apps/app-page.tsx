import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';

import { api, everyPage, take } from '@/api/client';
import { ConnectionList } from '@/features/connections/connection-list';
import { CutoffSwitch } from '@/features/cutoffs/cutoff-switch';
import { ThingLinks } from '@/features/objects/thing-links';
import { ThingPage } from '@/features/objects/thing-page';
import { Facts } from '@/ui/panel';
import { Pill } from '@/ui/pill';
import { TableSkeleton } from '@/ui/table-skeleton';
import { Exact } from '@/ui/time';
import { Trouble } from '@/ui/trouble';
import { Visible } from '@/ui/visible';
import { type App, APPS } from './room';
import { Tokens } from './tokens';

/** One app: its switch, who answers for it, with what it presents itself, and where it may go. */
export function AppPage() {
  const { app } = useParams({ from: '/app/workspaces/$workspace/apps/$app' });
  return (
    <ThingPage
      room={APPS}
      name={app}
      renderState={(it) => (
        <Pill tone={it.enabled ? 'good' : 'bad'}>{it.enabled ? 'On' : 'Off'}</Pill>
      )}
      renderOverview={(it, workspace) => (
        <>
          <Overview app={it} workspace={workspace} />
          <Tokens holder={{ kind: 'app', name: it.name }} workspace={workspace} />
        </>
      )}
      renderAccess={(it, workspace) => (
        <>
          <Connections app={it.name} workspace={workspace} />
          <Link to="/workspaces/$workspace/why" params={{ workspace }} search={{ app: it.name }}>
            Why can {it.name} call something?
          </Link>
        </>
      )}
    />
  );
}

function Overview({ app, workspace }: { app: App; workspace: string }) {
  return (
    <>
      <CutoffSwitch
        workspace={workspace}
        target={{ kind: 'app', name: app.name }}
        isOn={app.enabled}
        off={app.off}
      />
      <Facts
        facts={[
          ['Owner', <ThingLinks key="owner" many="users" names={[app.owner]} none="" />],
          ['Purpose', <Visible key="purpose" text={app.purpose} />],
          ['Labels', app.labels.join(', ') || 'none'],
          ['Addresses', app.addresses.join(', ') || 'from everywhere'],
          ['Made', <Exact key="made" at={app.created_at} />],
          ['Id', <code key="id">{app.id}</code>],
        ]}
      />
    </>
  );
}

function Connections({ app, workspace }: { app: string; workspace: string }) {
  const { data, error } = useQuery({
    queryKey: ['workspace', workspace, 'apps', 'one', app, 'connections'],
    queryFn: ({ signal }) =>
      everyPage((query) =>
        take(
          api.GET('/api/v1/workspaces/{workspace}/apps/{app}/connections', {
            params: { path: { workspace, app }, query },
            signal,
          }),
        ),
      ),
  });
  if (error) return <Trouble what="The connections are not shown" error={error} />;
  if (!data) return <TableSkeleton rows={1} />;
  return <ConnectionList workspace={workspace} of={{ app }} connections={data.items} />;
}
