/** The search parameters of the playground: what is called and as whom, never with what. */
import { text } from '@/app/search';

export interface PlaygroundSearch {
  gateway?: string | undefined;
  app?: string | undefined;
  tool?: string | undefined;
}

export function readPlaygroundSearch(search: Record<string, unknown>): PlaygroundSearch {
  return {
    gateway: text(search['gateway']),
    app: text(search['app']),
    tool: text(search['tool']),
  };
}
