import { useParams } from '@tanstack/react-router';

import { CutoffSwitch } from '@/features/cutoffs/cutoff-switch';
import { ThingLinks } from '@/features/objects/thing-links';
import { ThingPage } from '@/features/objects/thing-page';
import { Facts } from '@/ui/panel';
import { Pill } from '@/ui/pill';
import { Exact } from '@/ui/time';
import { IDENTITIES } from './room';

/** One credential: which headers it sets, for which server, whose it is. Never its value. */
export function IdentityPage() {
  const { identity } = useParams({ from: '/app/workspaces/$workspace/identities/$identity' });
  return (
    <ThingPage
      room={IDENTITIES}
      name={identity}
      renderState={(it) => (
        <Pill tone={it.enabled ? 'good' : 'bad'}>{it.enabled ? 'On' : 'Off'}</Pill>
      )}
      renderOverview={(it, workspace) => (
        <>
          <CutoffSwitch
            workspace={workspace}
            target={{ kind: 'identity', name: it.name }}
            isOn={it.enabled}
            off={it.off}
          />
          <Facts
            facts={[
              ['Server', <ThingLinks key="server" many="servers" names={[it.server]} none="" />],
              [
                'Owner',
                <ThingLinks
                  key="owner"
                  many="users"
                  names={it.owner ? [it.owner] : []}
                  none="nobody: it is shared"
                />,
              ],
              ['Headers', it.headers.join(', ')],
              ['Values', 'sealed: edit it to set new ones'],
              ['Made', <Exact key="made" at={it.created_at} />],
              ['Id', <code key="id">{it.id}</code>],
            ]}
          />
        </>
      )}
    />
  );
}
