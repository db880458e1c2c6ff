import type { Server } from './queries';

/** Where or how a server is reached, on one line. */
export function addressOf({ transport }: Server): string {
  if (transport.type !== 'stdio') return transport.url;
  return [transport.command, ...(transport.args ?? [])].map(quoted).join(' ');
}

export function transportWord({ transport }: Server): string {
  return TRANSPORT_WORDS[transport.type];
}

const TRANSPORT_WORDS: Record<Server['transport']['type'], string> = {
  http: 'HTTP',
  sse: 'HTTP+SSE',
  stdio: 'stdio',
};

export const ERA_WORDS: Record<Server['era'], string> = {
  auto: 'auto',
  modern: 'modern (2026-07-28)',
  legacy: 'legacy (up to 2025-11-25)',
};

/** What becomes of a call that the server makes a task of. */
export const TASKS_WORDS: Record<Server['tasks'], string> = {
  relay: 'relayed to the client',
  wait: 'waited for by the gateway',
};

/** So that it shows where one argument ends. */
function quoted(word: string): string {
  return word === '' || /\s/.test(word) ? JSON.stringify(word) : word;
}
