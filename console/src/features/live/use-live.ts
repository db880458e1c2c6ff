import { useQueryClient } from '@tanstack/react-query';
import { useEffect } from 'react';

import { Follow } from './follow';

/**
 * Keeps what is shown of a workspace right for as long as it is shown. Not while the page is hidden: a
 * browser opens few connections to one gateway, for all of its pages together.
 */
export function useLive(workspace: string) {
  const queries = useQueryClient();
  useEffect(() => {
    const follow = new Follow(queries, workspace);
    const turn = () => (document.hidden ? follow.end() : follow.start());
    turn();
    document.addEventListener('visibilitychange', turn);
    return () => {
      document.removeEventListener('visibilitychange', turn);
      follow.end();
    };
  }, [queries, workspace]);
}
