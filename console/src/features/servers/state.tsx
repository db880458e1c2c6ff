import type { Tone } from '@/ui/pill';
import { Pill } from '@/ui/pill';
import type { Server } from './queries';

interface State {
  tone: Tone;
  word: string;
}

/** Being off comes first: then it does not matter how the server is doing. */
export function stateOf(server: Server): State {
  if (!server.enabled) return { tone: 'bad', word: 'Off' };
  switch (server.status?.state) {
    case 'up':
      return { tone: 'good', word: 'Up' };
    case 'failing':
      return { tone: 'warn', word: 'Failing' };
    case 'down':
      return { tone: 'bad', word: 'Down' };
    case undefined:
      return { tone: 'calm', word: 'Not asked yet' };
  }
}

export function ServerState({ server }: { server: Server }) {
  const { tone, word } = stateOf(server);
  return <Pill tone={tone}>{word}</Pill>;
}
