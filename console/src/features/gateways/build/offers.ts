/**
 * What servers list, as the picker has it: in groups, searched, and what is picked of it.
 *
 * What a tool does is told by its server alone. It helps to find tools and decides nothing.
 */
import type { Schemas } from '@/api/client';
import type { Assignment, Provision } from '../queries';

type Previewed = Schemas['PreviewedBody'];
export type Because = Schemas['BecauseText'];

/** As the specification reads annotations: what says nothing may destroy. */
export type Risk = 'read' | 'write' | 'destructive';

export interface Offer {
  key: string;
  alias: string;
  /** The server's own. */
  name: string;
  /** As clients are shown it; absent where they are not. */
  listed: string | null;
  title: string | null;
  description: string | null;
  risk: Risk;
  /** Whether the server has said so, or it is taken for it. */
  isSaid: boolean;
  tokens: number;
  because: Because | null;
  /** What is searched. */
  text: string;
}

export const RISKS: Risk[] = ['read', 'write', 'destructive'];

export const RISK_WORDS: Record<Risk, string> = {
  read: 'Only reads',
  write: 'Writes',
  destructive: 'May destroy',
};

export function offersOf({ shown, hidden }: Previewed): Offer[] {
  return [
    ...shown.map((it) => offer(it.alias, it.own_name, it, it.name, null)),
    ...hidden.map((it) => offer(it.alias, it.name, it, null, it.because)),
  ];
}

function offer(
  alias: string,
  name: string,
  { said, tokens }: Pick<Schemas['ShownBody'], 'said' | 'tokens'>,
  listed: string | null,
  because: Because | null,
): Offer {
  const { title = null, description = null } = said;
  const risk = riskOf(said);
  const text = [alias, name, title, description, RISK_WORDS[risk]].join(' ').toLowerCase();
  const isSaid = said.read_only_hint === true || typeof said.destructive_hint === 'boolean';
  const key = keyOf(alias, name);
  return { key, alias, name, listed, title, description, risk, isSaid, tokens, because, text };
}

export function keyOf(alias: string, name: string): string {
  return `${alias}\0${name}`;
}

function riskOf(said: Schemas['SaidBody']): Risk {
  if (said.read_only_hint === true) return 'read';
  return said.destructive_hint === false ? 'write' : 'destructive';
}

export type GroupBy = 'risk' | 'server';

export interface Group {
  name: string;
  offers: Offer[];
}

/** All words must be in it. Groups without a tool are left out. */
export function groupsOf(offers: Offer[], wanted: string, by: GroupBy): Group[] {
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  const groups = new Map<string, Offer[]>();
  if (by === 'risk') for (const risk of RISKS) groups.set(RISK_WORDS[risk], []);
  for (const it of offers) {
    if (!words.every((word) => it.text.includes(word))) continue;
    const name = by === 'risk' ? RISK_WORDS[it.risk] : it.alias;
    const group = groups.get(name);
    if (group) group.push(it);
    else groups.set(name, [it]);
  }
  return [...groups]
    .filter(([, all]) => all.length > 0)
    .map(([name, all]) => ({ name, offers: all }));
}

/** What is exposed as things are. Whether a condition holds is known by what the gateway hides. */
export function exposedOf(offers: Offer[], assignments: Assignment[]): Set<string> {
  const tools = new Map(assignments.map((it) => [it.alias, it.tools]));
  const isExposed = ({ alias, name, because }: Offer) => {
    const provision = tools.get(alias);
    if (provision?.expose === 'named') return provision.names.includes(name);
    if (provision?.expose === 'conditions') return because !== 'condition';
    return provision?.expose === 'all';
  };
  return new Set(offers.filter(isExposed).map((it) => it.key));
}

/** What picking by hand makes of an assignment; nothing where it changes nothing. */
export function provisionOf(
  assignment: Assignment,
  offers: Offer[],
  picked: ReadonlySet<string>,
): Provision | null {
  const own = offers.filter((it) => it.alias === assignment.alias);
  const before = exposedOf(own, [assignment]);
  if (own.every((it) => before.has(it.key) === picked.has(it.key))) return null;
  const { tools } = assignment;
  const known = new Set(own.map((it) => it.name));
  // What it does not list at this moment may come again.
  const others = tools.expose === 'named' ? tools.names.filter((it) => !known.has(it)) : [];
  const names = own.filter((it) => picked.has(it.key)).map((it) => it.name);
  const all = [...new Set([...others, ...names])].toSorted();
  return all.length > 0 ? { expose: 'named', names: all } : { expose: 'nothing' };
}

/** Tools that would go by one name: none of them leads anywhere. */
export function collisions(offers: Offer[]): Offer[] {
  return offers.filter((it) => it.because === 'name_taken');
}

export function tokensOf(offers: Offer[], picked: ReadonlySet<string>): number {
  return offers.reduce((sum, it) => sum + (picked.has(it.key) ? it.tokens : 0), 0);
}
