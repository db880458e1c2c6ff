/** Who there is in the invented installation, and what they may do. */
import type { Schemas } from '../src/api/client.ts';

export interface People {
  users: Schemas['UserBody'][];
  teams: Schemas['TeamBody'][];
  roles: Schemas['RoleBody'][];
  'role-grants': Schemas['RoleGrantBody'][];
  apps: Schemas['AppBody'][];
  identities: Schemas['IdentityBody'][];
  policies: Schemas['PolicyBody'][];
  tokens: Schemas['TokenBody'][];
}

const CREATED = '2026-11-02T09:30:00Z';

export function makePeople(): People {
  return {
    users: [
      user(100, 'ann', ['platform', 'web'], 'engineering'),
      user(101, 'bob', ['platform'], 'engineering'),
      user(102, 'eve', ['support'], 'support'),
    ],
    teams: [
      team(110, 'finance', []),
      team(111, 'platform', ['ann', 'bob']),
      team(112, 'support', ['eve']),
      team(113, 'web', ['ann']),
    ],
    roles: BUILT_IN.map(([name, capabilities]) => ({ name, capabilities, built_in: true })).concat([
      {
        ...made(120),
        name: 'keeper',
        built_in: false,
        capabilities: ['servers:read', 'servers:write'],
      },
    ] as never),
    'role-grants': [
      {
        ...made(130),
        name: 'ann-administers',
        role: 'workspace-admin',
        user: 'ann',
        on: 'workspace',
      },
      {
        ...made(131),
        name: 'platform-keeps-jira',
        role: 'keeper',
        team: 'platform',
        on: 'server/jira',
      },
    ],
    apps: [
      app(140, 'ci-agent', 'bob', 'Builds and opens pull requests.'),
      app(141, 'claude-ann', 'ann', 'Works beside Ann.'),
      app(142, 'helpdesk-bot', 'eve', 'Answers tickets.'),
    ],
    identities: [
      identity(150, 'ann-github', 'github', 'ann'),
      identity(151, 'ci-github', 'github', 'bob'),
      identity(152, 'jira-bot', 'jira', null),
    ],
    policies: [
      {
        ...made(160),
        name: 'readers',
        enabled: true,
        text: 'forbid(principal, action == Action::"call", resource)\nwhen { resource.effect == "destructive" };\n',
        tests: [],
      },
    ],
    tokens: [{ ...made(170), name: 'ci', expires_at: '2027-01-31T09:30:00Z' }],
  };
}

/** More users than fit on a screen, in the order of their names. */
export function addCrowd(people: People, count: number): void {
  for (let number = 0; number < count; number += 1) {
    const name = `person-${String(number).padStart(5, '0')}`;
    const department = DEPARTMENTS[number % DEPARTMENTS.length] ?? '';
    people.users.push(user(10_000 + number, name, ['platform'], department));
  }
}

const DEPARTMENTS = ['engineering', 'finance', 'law', 'sales', 'support'];

export function NOBODY(): People {
  const all = makePeople();
  return {
    users: [],
    teams: [],
    roles: all.roles.filter((it) => it.built_in),
    'role-grants': [],
    apps: [],
    identities: [],
    policies: [],
    tokens: [],
  };
}

const BUILT_IN: [string, Schemas['Capability'][]][] = [
  ['super-admin', ['workspaces:write', 'servers:write', 'people:write']],
  ['workspace-admin', ['servers:write', 'people:write']],
  ['member', []],
];

function made(number: number) {
  const id = `019356a0-0000-7000-8000-${String(number).padStart(12, '0')}`;
  return { id, created_at: CREATED };
}

function user(
  number: number,
  name: string,
  teams: string[],
  department: string,
): Schemas['UserBody'] {
  const known = { department, clearance: 2, groups: [], network: null, assurance: null };
  return { ...made(number), name, teams, ...known, enabled: true, off: null };
}

function team(number: number, name: string, members: string[]): Schemas['TeamBody'] {
  return { ...made(number), name, members };
}

function app(number: number, name: string, owner: string, purpose: string): Schemas['AppBody'] {
  const rest = { labels: [], addresses: [], enabled: true, off: null };
  return { ...made(number), name, owner, purpose, ...rest };
}

function identity(
  number: number,
  name: string,
  server: string,
  owner: string | null,
): Schemas['IdentityBody'] {
  const rest = { headers: ['Authorization'], enabled: true, off: null };
  return { ...made(number), name, server, owner, ...rest };
}
