import { useParams } from '@tanstack/react-router';

import { ThingLinks } from '@/features/objects/thing-links';
import { ThingPage } from '@/features/objects/thing-page';
import { Facts } from '@/ui/panel';
import { Exact } from '@/ui/time';
import { GRANTS } from './room';

/** One grant. It is not changed: it is taken back and given anew. */
export function RoleGrantPage() {
  const params = useParams({ from: '/app/workspaces/$workspace/role-grants/$grant' });
  return (
    <ThingPage
      room={GRANTS}
      name={params.grant}
      renderOverview={(it) => (
        <Facts
          facts={[
            ['Role', <ThingLinks key="role" many="roles" names={[it.role]} none="" />],
            [
              it.user ? 'User' : 'Team',
              <ThingLinks
                key="to"
                many={it.user ? 'users' : 'teams'}
                names={[it.user ?? it.team ?? '']}
                none=""
              />,
            ],
            ['On', it.on],
            ['Made', <Exact key="made" at={it.created_at} />],
            ['Id', <code key="id">{it.id}</code>],
          ]}
        />
      )}
    />
  );
}
