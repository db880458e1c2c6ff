/** What a first call needs, as documents that can be kept and applied again. */
import type { Schemas } from '@/api/client';

/** The set of files that these belong to: what is applied from elsewhere takes nothing of it away. */
export const OWNER = 'first-steps';
export const GATEWAY = 'main';
export const APP = 'first-client';
const TEAM = 'everyone';

export interface First {
  /** Its name. */
  server: string;
  transport: Schemas['TransportText'];
  /** The name of whoever takes the first steps. */
  person: string;
}

/** YAML; each text in it is JSON, which needs no other quoting. */
export function documents({ server, transport, person }: First): string {
  const all = [
    [`kind: User`, `name: ${quoted(person)}`],
    [`kind: Team`, `name: ${TEAM}`, `members: [${quoted(person)}]`],
    [`kind: Server`, `name: ${quoted(server)}`, `transport: ${flow(transport)}`],
    [`kind: Gateway`, `name: ${GATEWAY}`, `teams: [${TEAM}]`, `assignments:`].concat(
      `  - server: ${quoted(server)}`,
    ),
    [`kind: App`, `name: ${APP}`, `owner: ${quoted(person)}`, `purpose: The first client.`].concat(
      `gateways:`,
      `  - gateway: ${GATEWAY}`,
    ),
  ];
  return all.map((lines) => `${lines.join('\n')}\n`).join('---\n');
}

function quoted(text: string): string {
  return /^[a-z][a-z0-9-]*$/.test(text) && !RESERVED.has(text) ? text : JSON.stringify(text);
}

/** Words that YAML takes for something else than text. */
const RESERVED = new Set(['false', 'n', 'no', 'null', 'off', 'on', 'true', 'y', 'yes']);

function flow(transport: Schemas['TransportText']): string {
  const members = Object.entries(transport).map(([name, it]) => `${name}: ${JSON.stringify(it)}`);
  return `{ ${members.join(', ')} }`;
}

/** A name for a server that is found at this URL or started by this command. */
export function nameFrom(reach: string): string {
  const first = reach.split('\n', 1)[0] ?? '';
  const words = URL.canParse(first)
    ? new URL(first).hostname.split('.').filter((it) => !COMMON.has(it))
    : [first.split('/').at(-1) ?? ''];
  const name = (words[0] ?? '')
    .toLowerCase()
    .replace(/^(mcp-)?server-|^mcp-|-mcp$/g, '')
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^[-0-9]+|-+$/g, '')
    .slice(0, 63);
  return name === '' ? 'first' : name;
}

/** Parts of host names that say nothing of what is there. */
const COMMON = new Set(['api', 'mcp', 'www']);
