/** Invented calls, as the gateway records them. */
import type { Schemas } from '../src/api/client.ts';
import { id, type World } from './world.ts';

type Leaf = Record<string, unknown>;

/** Appends a record and tells all who follow. */
export function append(world: World, kind: string, leaf: Leaf): Schemas['RecordBody'] {
  const sequence = world.records.length + 1;
  const record: Schemas['RecordBody'] = {
    sequence,
    index: null,
    time: new Date().toISOString(),
    clock_suspect: false,
    kind,
    record: { kind, ...leaf },
  };
  world.records.push({ ...record, index: sequence - 1 });
  for (const tell of world.followers) tell('record', JSON.stringify(record));
  return record;
}

/** A call from its intent to its outcome; `number` decides which one of a few kinds it is. */
export function call(world: World, number: number, outcome?: Leaf): void {
  const [app, gateway, server, name] = CALLS[number % CALLS.length] ?? CALLS[0];
  const intent: Leaf = {
    call: id(900_000 + number),
    app: id(60 + (number % 3)),
    app_name: app,
    gateway,
    peer: '10.4.0.17',
    revision: '2026-07-28',
    method: 'tools/call',
    id: String(number),
    request_bytes: 312 + (number % 97),
    decision: 'allow',
    server,
    assignment: server,
    offer: 'tool',
    name,
  };
  append(world, 'intent', intent);
  append(world, 'outcome', {
    call: intent['call'],
    end: 'answered',
    error: number % 13 === 0,
    total_us: 18_000 + ((number * 7_919) % 240_000),
    upstream_us: 17_000 + ((number * 7_919) % 240_000),
    bytes: 900 + ((number * 131) % 40_000),
    ...outcome,
  });
}

/** A call that was refused before anything left: its outcome is all there is. */
export function refusal(world: World, number: number, end: string, detail: string): void {
  const [app, gateway, server, name] = CALLS[number % CALLS.length] ?? CALLS[0];
  append(world, 'outcome', {
    call: id(900_000 + number),
    app_name: app,
    gateway,
    method: 'tools/call',
    server,
    name,
    end,
    error: true,
    detail,
  });
}

/** Some past, so that the page has something to show at once. */
export function addHistory(world: World, calls: number): void {
  append(world, 'system', { event: 'started', version: '0.1.0' });
  for (let number = 1; number <= calls; number += 1) {
    if (number % 11 === 0) {
      refusal(world, number, 'switched_off', 'server is turned off by an administrator');
    } else if (number % 17 === 0) {
      refusal(world, number, 'rule_block', 'Destructive SQL is not allowed here.');
    } else if (number % 19 === 0) {
      call(world, number, { end: 'upstream', error: true, detail: '`payroll` failed: refused' });
    } else {
      call(world, number);
    }
  }
}

/** Its calls, each of which is two records, in so many milliseconds. */
const BURST = { calls: 5_000, ms: 10_000 };

/** So many records a second that they cannot be read, and then one that says that they are over. */
export function burst(world: World): void {
  let [began, number] = [0, 0];
  const timer = setInterval(() => {
    if (world.followers.size === 0) return;
    began ||= Date.now();
    const due = Math.min(BURST.calls, ((Date.now() - began) / BURST.ms) * BURST.calls);
    while (number < due) call(world, 2_000 + (number += 1));
    if (number < BURST.calls) return;
    clearInterval(timer);
    append(world, 'system', { event: 'the burst is over' });
  }, 50);
}

/** What servers and clients may say that would rather not be seen, or be more than text. */
export function addHostility(world: World): void {
  const [first] = world.servers;
  if (first) first.status = { state: 'failing', detail: '<img src=x onerror=alert(1)>', tools: 1 };
  const leaf = JSON.parse('{"__proto__": {"polluted": true}, "constructor": "x"}') as Leaf;
  append(world, 'intent', {
    ...leaf,
    call: id(990_001),
    app_name: '<b>bold</b>',
    gateway: 'engineering',
    server: 'files',
    method: 'tools/call',
    name: '<script>alert(1)</script>',
    user_agent: '<svg onload=alert(1)>',
    unseen: 'a\u200Bb\u202Ec\u{E0068}\u{E0069}d\u001B[31me\r\nf\uFE0Fg\u00A0h',
  });
}

const CALLS: [[string, string, string, string], ...[string, string, string, string][]] = [
  ['claude-ann', 'engineering', 'github', 'search_issues'],
  ['claude-ann', 'engineering', 'jira', 'get_issue'],
  ['ci-agent', 'engineering', 'files', 'read\u200B_file'],
  ['helpdesk-bot', 'support', 'jira', 'add_comment'],
  ['ci-agent', 'engineering', 'github', 'create_pull_request'],
  ['helpdesk-bot', 'support', 'search', 'query\u202Etxt.exe'],
];
