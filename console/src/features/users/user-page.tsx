import { Link, useParams } from '@tanstack/react-router';

import { Tokens } from '@/features/apps/tokens';
import { CutoffSwitch } from '@/features/cutoffs/cutoff-switch';
import { GrantList } from '@/features/objects/grant-list';
import { ThingLinks } from '@/features/objects/thing-links';
import { ThingPage } from '@/features/objects/thing-page';
import { Section } from '@/ui/page';
import { Facts } from '@/ui/panel';
import { Pill } from '@/ui/pill';
import { Exact } from '@/ui/time';
import { Visible } from '@/ui/visible';
import { AccountReset } from './account-reset';
import { type User, USERS } from './room';

/** One person: the switch, what policies know, and what they may do and why. */
export function UserPage() {
  const { user } = useParams({ from: '/app/workspaces/$workspace/users/$user' });
  return (
    <ThingPage
      room={USERS}
      name={user}
      renderState={(it) => (
        <Pill tone={it.enabled ? 'good' : 'bad'}>{it.enabled ? 'On' : 'Off'}</Pill>
      )}
      renderOverview={(it, workspace) => (
        <>
          <Overview user={it} workspace={workspace} />
          <Tokens holder={{ kind: 'user', name: it.name }} workspace={workspace} />
          <AccountReset user={it.name} workspace={workspace} />
        </>
      )}
      renderAccess={(it, workspace) => (
        <>
          <Section title="Teams" note="whose gateways the person may use">
            <ThingLinks many="teams" names={it.teams} none="In no team: no gateway can be used." />
          </Section>
          <GrantList
            workspace={workspace}
            isMeant={(grant) => grant.user === it.name || it.teams.includes(grant.team ?? '')}
          />
          <Link to="/workspaces/$workspace/why" params={{ workspace }} search={{ user: it.name }}>
            Why can {it.name} call or change something?
          </Link>
        </>
      )}
    />
  );
}

function Overview({ user, workspace }: { user: User; workspace: string }) {
  return (
    <>
      <CutoffSwitch
        workspace={workspace}
        target={{ kind: 'user', name: user.name }}
        isOn={user.enabled}
        off={user.off}
      />
      <Facts
        facts={[
          ['Department', <Visible key="department" text={user.department ?? 'not known'} />],
          ['Clearance', user.clearance ?? 'not known: 0'],
          ['Groups', <Visible key="groups" text={user.groups.join(', ') || 'none'} />],
          ['Network', user.network ?? 'not known'],
          ['Assurance', user.assurance ?? 'not known: 0'],
          ['Made', <Exact key="made" at={user.created_at} />],
          ['Id', <code key="id">{user.id}</code>],
        ]}
      />
    </>
  );
}
