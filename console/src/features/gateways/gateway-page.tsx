import { Button } from '@mantine/core';
import { useSuspenseQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';

import { ConnectionList } from '@/features/connections/connection-list';
import { CutoffSwitch } from '@/features/cutoffs/cutoff-switch';
import { GrantList } from '@/features/objects/grant-list';
import { ThingLinks } from '@/features/objects/thing-links';
import { ThingPage } from '@/features/objects/thing-page';
import { Code } from '@/ui/code';
import { Section } from '@/ui/page';
import { Facts } from '@/ui/panel';
import { Pill } from '@/ui/pill';
import { Exact } from '@/ui/time';
import { AssignmentTable } from './assignment-table';
import classes from './gateway-page.module.css';
import { connectionsQuery, type Gateway } from './queries';
import { GATEWAYS } from './room';
import { RuleTable } from './rule-table';

/** One governed URL: its address and switch, then what it offers, to whom, under which rules. */
export function GatewayPage() {
  const { gateway } = useParams({ from: '/app/workspaces/$workspace/gateways/$gateway' });
  return (
    <ThingPage
      room={GATEWAYS}
      name={gateway}
      renderState={(it) => (
        <Pill tone={it.enabled ? 'good' : 'bad'}>{it.enabled ? 'On' : 'Off'}</Pill>
      )}
      renderTools={(it, workspace) => (
        <>
          <Button
            renderRoot={(props) => (
              <Link
                {...props}
                to="/workspaces/$workspace/gateways/$gateway/build"
                params={{ workspace, gateway: it.name }}
              />
            )}
          >
            Build
          </Button>
          <Button
            variant="default"
            renderRoot={(props) => (
              <Link
                {...props}
                to="/workspaces/$workspace/connect"
                params={{ workspace }}
                search={{ gateway: it.name }}
              />
            )}
          >
            Connect a client
          </Button>
        </>
      )}
      renderOverview={(it, workspace) => <Overview gateway={it} workspace={workspace} />}
      renderAccess={(it, workspace) => <Access gateway={it} workspace={workspace} />}
    />
  );
}

interface PartProps {
  workspace: string;
  gateway: Gateway;
}

function Overview({ workspace, gateway }: PartProps) {
  const url = `${globalThis.location.origin}/mcp/${workspace}/${gateway.name}`;
  return (
    <>
      <div className={classes.top}>
        <Section title="URL" note="for MCP clients">
          <Code text={url} what="URL" />
        </Section>
        <Section title="Switch">
          <CutoffSwitch
            workspace={workspace}
            target={{ kind: 'gateway', name: gateway.name }}
            isOn={gateway.enabled}
            off={gateway.off}
          />
        </Section>
      </div>
      <AssignmentTable workspace={workspace} gateway={gateway.name} />
      <RuleTable workspace={workspace} gateway={gateway.name} />
      <Facts
        facts={[
          ['Without the database', `${gateway.max_autonomy_seconds} s`],
          ['Made', <Exact key="made" at={gateway.created_at} />],
          ['Id', <code key="id">{gateway.id}</code>],
        ]}
      />
    </>
  );
}

function Access({ workspace, gateway }: PartProps) {
  const { data: all } = useSuspenseQuery(connectionsQuery(workspace));
  return (
    <>
      <Section title="Teams" note="their members may use this gateway">
        <ThingLinks
          many="teams"
          names={gateway.teams}
          none="No team is granted it, so nobody can use it."
        />
      </Section>
      <Section title="Addresses" note="from which it may be used">
        <p>
          {gateway.addresses.join(', ') || 'It has no list of its own: calls come from everywhere.'}
        </p>
      </Section>
      <ConnectionList
        workspace={workspace}
        of={{ gateway: gateway.name }}
        connections={all.items.filter((it) => it.gateway === gateway.name)}
      />
      <GrantList
        workspace={workspace}
        isMeant={(grant) => grant.on === `gateway/${gateway.name}`}
      />
    </>
  );
}
