import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';

import { api, everyPage, take } from '@/api/client';
import { GrantList } from '@/features/objects/grant-list';
import { ThingLinks } from '@/features/objects/thing-links';
import { ThingPage } from '@/features/objects/thing-page';
import { Section } from '@/ui/page';
import { Facts } from '@/ui/panel';
import { Exact } from '@/ui/time';
import { Trouble } from '@/ui/trouble';
import { TEAMS } from './room';

/** One team: who is in it, and what it may use. */
export function TeamPage() {
  const { team } = useParams({ from: '/app/workspaces/$workspace/teams/$team' });
  return (
    <ThingPage
      room={TEAMS}
      name={team}
      renderOverview={(it) => (
        <>
          <Section title="Members">
            <ThingLinks many="users" names={it.members} none="Nobody is in it." />
          </Section>
          <Facts
            facts={[
              ['Made', <Exact key="made" at={it.created_at} />],
              ['Id', <code key="id">{it.id}</code>],
            ]}
          />
        </>
      )}
      renderAccess={(it, workspace) => (
        <>
          <Gateways workspace={workspace} team={it.name} />
          <GrantList workspace={workspace} isMeant={(grant) => grant.team === it.name} />
        </>
      )}
    />
  );
}

function Gateways({ workspace, team }: { workspace: string; team: string }) {
  const { data, error } = useQuery({
    queryKey: ['workspace', workspace, 'gateways', 'all'],
    queryFn: ({ signal }) =>
      everyPage((query) =>
        take(
          api.GET('/api/v1/workspaces/{workspace}/gateways', {
            params: { path: { workspace }, query },
            signal,
          }),
        ),
      ),
  });
  const names = data?.items.filter((it) => it.teams.includes(team)).map((it) => it.name) ?? [];
  return (
    <Section title="Gateways" note="which its members may use">
      {error ? (
        <Trouble what="The gateways are not shown" error={error} />
      ) : (
        <ThingLinks many="gateways" names={names} none={data ? 'None is granted.' : '…'} />
      )}
    </Section>
  );
}
