/**
 * A gateway, step by step: servers, tools, credentials, rules, teams, and what comes of it. Each step
 * can be entered at any time; which one is open stands in the URL.
 */
import { useQuery, useSuspenseQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import type { ReactNode } from 'react';

import { BackIcon } from '@/ui/icons';
import { Page } from '@/ui/page';
import { assignmentsQuery, connectionsQuery, rulesQuery } from '../queries';
import { thingQuery } from '@/features/objects/queries';
import { RuleTable } from '../rule-table';
import classes from './build-page.module.css';
import { CredentialStep } from './credential-step';
import { PreviewStep } from './preview-step';
import { ServerStep } from './server-step';
import { type Step, STEPS } from './steps';
import { TeamStep } from './team-step';
import { ToolStep } from './tool-step';

const HERE = '/app/workspaces/$workspace/gateways/$gateway/build';

export function BuildPage() {
  const { workspace, gateway: name } = useParams({ from: HERE });
  // What is searched for is the picker's alone: the page is not drawn anew for it.
  const step = useSearch({ from: HERE, select: (it) => it.step ?? 'servers' });
  const as = useSearch({ from: HERE, select: (it) => it.as });
  const navigate = useNavigate({ from: '/workspaces/$workspace/gateways/$gateway/build' });
  const { data: gateway } = useSuspenseQuery(thingQuery(workspace, 'gateways', name));
  const { data: assignments } = useSuspenseQuery(assignmentsQuery(workspace, name));
  const { data: rules } = useQuery(rulesQuery(workspace, name));
  const { data: connections } = useSuspenseQuery(connectionsQuery(workspace));
  const apps = connections.items.filter((it) => it.gateway === name).map((it) => it.app);
  const app = as !== undefined && apps.includes(as) ? as : (apps[0] ?? '');
  const seen = {
    app,
    apps,
    onApp: (as: string) => void navigate({ search: (old) => ({ ...old, as }), replace: true }),
  };
  const of = { workspace, gateway: name };
  const said: Record<Step, string> = {
    servers: counted(assignments.items.length, 'server'),
    tools: exposedWords(assignments.items),
    identities: counted(
      assignments.items.filter((it) => it.scheme !== 'open').length,
      'credential',
    ),
    rules: rules ? counted(rules.items.length, 'rule') : 'not for you',
    teams: gateway.teams.join(', ') || 'nobody yet',
    preview: app ? `as ${app}` : 'no app is connected',
  };
  const shown: Record<Step, ReactNode> = {
    servers: <ServerStep {...of} assignments={assignments.items} />,
    tools: <ToolStep {...of} {...seen} assignments={assignments.items} />,
    identities: <CredentialStep {...of} assignments={assignments.items} />,
    rules: <RuleTable {...of} />,
    teams: <TeamStep workspace={workspace} gateway={gateway} key={gateway.teams.join(' ')} />,
    preview: <PreviewStep {...of} {...seen} />,
  };
  return (
    <Page
      title={`Build ${name}`}
      trail={
        <Link to="/workspaces/$workspace/gateways/$gateway" params={{ workspace, gateway: name }}>
          <BackIcon size={14} /> {name}
        </Link>
      }
    >
      <nav className={classes.steps} aria-label="Steps">
        {STEPS.map((it, at) => (
          <Link
            key={it.step}
            to="."
            search={(old) => ({ ...old, step: it.step })}
            className={classes.step}
            activeOptions={{ exact: true, includeSearch: true }}
            data-tab={it.step === step ? 'open' : ''}
            replace
          >
            <span className={classes.number}>{at + 1}</span>
            <span className={classes.name}>{it.name}</span>
            <span className={classes.said}>{said[it.step]}</span>
          </Link>
        ))}
      </nav>
      <div className={classes.content}>{shown[step]}</div>
    </Page>
  );
}

function counted(count: number, one: string): string {
  return `${count} ${one}${count === 1 ? '' : 's'}`;
}

function exposedWords(assignments: { tools: { expose: string; names?: string[] } }[]): string {
  if (assignments.some((it) => it.tools.expose === 'all')) return 'all of some servers';
  if (assignments.some((it) => it.tools.expose === 'conditions')) return 'by conditions';
  const count = assignments.reduce((sum, it) => sum + (it.tools.names?.length ?? 0), 0);
  return counted(count, 'tool');
}
