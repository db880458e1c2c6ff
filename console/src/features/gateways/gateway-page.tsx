import { useSuspenseQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';

import { CutoffSwitch } from '@/features/cutoffs/cutoff-switch';
import { Code } from '@/ui/code';
import { BackIcon } from '@/ui/icons';
import { Page, Section } from '@/ui/page';
import { Pill } from '@/ui/pill';
import { AssignmentTable } from './assignment-table';
import { ConnectionTable } from './connection-table';
import classes from './gateway-page.module.css';
import { connectionsQuery, gatewayQuery } from './queries';
import { RuleTable } from './rule-table';

/** One governed URL: its address and switch, then what it offers, to whom, under which rules. */
export function GatewayPage() {
  const params = useParams({ from: '/app/workspaces/$workspace/gateways/$gateway' });
  const { workspace } = params;
  const { data: gateway } = useSuspenseQuery(gatewayQuery(workspace, params.gateway));
  const { data: all } = useSuspenseQuery(connectionsQuery(workspace));
  const connections = all.items.filter((it) => it.gateway === gateway.name);
  const url = `${globalThis.location.origin}/mcp/${workspace}/${gateway.name}`;
  return (
    <Page
      title={gateway.name}
      trail={
        <Link to="/workspaces/$workspace/gateways" params={{ workspace }} className={classes.back}>
          <BackIcon size={14} /> Gateways
        </Link>
      }
      aside={<Pill tone={gateway.enabled ? 'good' : 'bad'}>{gateway.enabled ? 'On' : 'Off'}</Pill>}
      tools={
        <Link
          to="/workspaces/$workspace/records"
          params={{ workspace }}
          search={{ gateway: gateway.name }}
        >
          Live records
        </Link>
      }
    >
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
            reach={reach(connections.length)}
          />
        </Section>
      </div>
      <AssignmentTable workspace={workspace} gateway={gateway.name} />
      <Section title="Teams" note="their members may use this gateway">
        {gateway.teams.length > 0 ? (
          <ul className={classes.teams}>
            {gateway.teams.map((team) => (
              <li key={team}>{team}</li>
            ))}
          </ul>
        ) : (
          <p className={classes.none}>No team is granted it, so nobody can use it.</p>
        )}
      </Section>
      <Section title="Addresses" note="from which it may be used">
        {gateway.addresses.length > 0 ? (
          <ul className={classes.teams}>
            {gateway.addresses.map((network) => (
              <li key={network}>{network}</li>
            ))}
          </ul>
        ) : (
          <p className={classes.none}>It has no list of its own: calls come from everywhere.</p>
        )}
      </Section>
      <RuleTable workspace={workspace} gateway={gateway.name} />
      <ConnectionTable connections={connections} />
    </Page>
  );
}

function reach(connections: number): string {
  if (connections === 0) return 'No app is connected to it.';
  return connections === 1
    ? '1 app is connected to it.'
    : `${connections} apps are connected to it.`;
}
